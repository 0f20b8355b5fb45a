"""Profiles of users and items, written by a language model."""

from skllmrec.language_models.profiles._profile_writer import LLMProfileWriter

__all__ = ["LLMProfileWriter"]
