from ._tsne import TSNEEmbedder

__all__ = ["TSNEEmbedder"]
