"""Fine-tuning and pre-training of language models."""
