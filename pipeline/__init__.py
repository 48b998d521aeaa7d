"""What every task and datamodule of Unroll shares, and the command line that runs them."""
