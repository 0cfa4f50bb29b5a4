"""What a deploy costs, measured beside the anchors; gates nothing."""
