"""One time step of each recurrent cell."""
