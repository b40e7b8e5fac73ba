"""What tasks log and trace while they run."""
