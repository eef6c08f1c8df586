"""What goes over the wire: requests to commands, domain values to bodies. Names are the contract's."""
