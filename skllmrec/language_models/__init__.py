"""Language models of one's own: pre-trained, fine-tuned for recommendation, and put to writing."""

__all__ = []
