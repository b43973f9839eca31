//! What crosses crates, in one test program so that it links once.

mod arrows;
mod bad_input;
mod config;
mod first_light;
mod programs;
mod tables;
mod tools;
