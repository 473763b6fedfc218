"""Files for the device. They stand in every built folder; what stands between two @ in a file of C is filled in."""
