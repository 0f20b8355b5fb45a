"""The contracts: BaseRecommender and BaseTextEncoder."""
