"""The hierarchical softmax over binary trees."""
