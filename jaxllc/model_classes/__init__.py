"""What a law of nodes that are alike, on the network as it is given, may lack: tests by one criterion."""
