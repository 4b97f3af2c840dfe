"""The laptop as a node: its folders, its processes, its transfers of blobs."""
