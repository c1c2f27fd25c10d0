"""The workshop: cluster, images, models, test bed, demonstration, generators. Never shipped."""
