"""Groups of sounds that are alike, with examples, outliers and names.

    found = cluster(vectors)                      # k-means, the number of clusters chosen
    found = cluster(vectors, "hdbscan")           # or by density: dbscan, hdbscan
    names = name_clusters(found, vectors, model.embed_text)

Pure functions on unit vectors; `soundalike.Library.clusters` has the same for a library. Where to read: grouping
(methods and their rules), naming (words through a text tower; names.txt is the vocabulary).
"""

from soundalike.clusters.grouping import METHODS, Cluster, Clustering, Method, cluster
from soundalike.clusters.naming import Name, name_clusters, vocabulary

__all__ = ["METHODS", "Cluster", "Clustering", "Method", "Name", "cluster", "name_clusters", "vocabulary"]
