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
    let tables: [Vec<&str>; 4] = [
        models::zhipu().iter().map(|model| model.id).collect(),
        models::qwen().iter().map(|model| model.id).collect(),
        models::ernie().iter().map(|model| model.id).collect(),
        models::gateway().iter().map(|model| model.id).collect(),
    ];
    for table in tables {
        for (index, id) in table.iter().enumerate() {
            assert!(!table[index + 1..].contains(id), "{id}");
        }
    }
}

#[test]
fn behind_the_gateway_stand_models_of_the_vendors() {
    for model in models::gateway() {
        let zhipu = models::zhipu().iter().any(|known| known.id == model.vendor_id);
        let qwen = models::qwen().iter().any(|known| known.id == model.vendor_id);
        let ernie = models::ernie().iter().any(|known| known.id == model.vendor_id);
        assert!(zhipu || qwen || ernie, "{}", model.id);
    }
}
