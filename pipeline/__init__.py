"""The parts that all tasks and datamodules of Unroll share, and the command line."""
