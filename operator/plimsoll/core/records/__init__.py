"""What became of requests: outcome classes, histograms and the records that gateways stream to the controller. Pure."""
