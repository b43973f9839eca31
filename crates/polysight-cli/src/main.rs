//! The command `polysight`.

fn main() {}
