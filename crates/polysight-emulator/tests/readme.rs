//! The README keeps up with the code.

use polysight_emulator::{Fault, Surface, models};

const README: &str = include_str!("../README.md");

#[test]
fn names_every_fault_and_its_argument() {
    for entry in Fault::catalogue() {
        let cell = if entry.argument.is_empty() {
            format!("`{}`", entry.name)
        } else {
            format!("`{}={}`", entry.name, entry.argument)
        };
        assert!(README.contains(&cell.replace('|', "\\|")), "the README does not list {cell}");
    }
}

#[test]
fn names_every_surface() {
    for surface in Surface::ALL {
        assert!(README.contains(surface.prefix()));
    }
}

#[test]
fn no_model_stands_twice() {
    for (index, model) in models::zhipu().iter().enumerate() {
        assert!(models::zhipu()[index + 1..].iter().all(|other| other.id != model.id), "{}", model.id);
    }
}
