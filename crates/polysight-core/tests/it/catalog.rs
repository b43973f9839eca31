//! Catalogues: what is refused, and what an override keeps.

use polysight_core::catalog::ModelRow;
use polysight_core::{Catalog, ErrorKind};

const ACME: &str = r#"
vendor = "acme"
[defaults]
source = "Acme API reference"
as_of = "2026-11-21"
sampling = { temperature = "[0, 1]", decimals = 2 }
[[models]]
id = "acme-eye"
aliases = ["eye", "Eye-Latest"]
context = 8192
image = { count = 5, max_side = 6000 }
prices = [{ currency = "CNY", input = 1.0, output = 2.0 }]
[[models]]
id = "acme-blind"
image = false
"#;

fn acme() -> Catalog {
    Catalog::from_toml(ACME).unwrap()
}

fn rows(text: &str) -> Vec<ModelRow> {
    let mut table: toml::Table = toml::from_str(text).unwrap();
    let rows = table.remove("models").unwrap();
    rows.as_array().unwrap().iter().map(|row| ModelRow::new(row).unwrap()).collect()
}

#[test]
fn a_catalogue_that_is_wrong_says_where() {
    let head = "vendor = 'acme'\n";
    for (text, words) in [
        ("vendor = 'acme'\n\nmodels = [", "in line 3"),
        ("[[models]]\nid = 'a'", "`vendor` is missing"),
        ("vendor = 5", "`vendor` is missing"),
        ("vendor = 'acme'\ndefaults = 5", "`defaults` is not a table"),
        ("vendor = 'acme'\nmodels = 5", "`models` is not a list"),
        ("vendor = 'acme'\nmodels = [5]", "a model is not a table"),
        ("vendor = 'acme'\nmodel = []", "unknown key `model`"),
        (&format!("{head}[defaults]\ncontxt = 5"), "contxt"),
        (&format!("{head}[[models]]\ncontext = 5"), "a model has no `id`"),
        (&format!("{head}[[models]]\nid = ''"), "a model has no `id`"),
        (&format!("{head}[[models]]\nid = 'a'\ncontxt = 5"), "model `a` of the acme catalogue"),
        (&format!("{head}[[models]]\nid = 'a'\nknown = true"), "known"),
        (&format!("{head}[[models]]\nid = 'a'\nimage = {{ cuont = 5 }}"), "cuont"),
        (&format!("{head}[[models]]\nid = 'a'\nimage = 5"), "model `a`"),
        (&format!("{head}[[models]]\nid = 'a'\ncontext = -1"), "model `a`"),
        (&format!("{head}[[models]]\nid = 'a'\nsampling.temperature = '[1, 0]'"), "it holds no number"),
        (&format!("{head}[[models]]\nid = 'a'\nsampling.top_k = '0..5'"), "is no interval"),
        (&format!("{head}[[models]]\nid = 'a'\nstatus = 'gone'"), "gone"),
        (&format!("{head}[[models]]\nid = 'a'\n[[models]]\nid = 'A'"), "two models are called `A`"),
        (
            &format!("{head}[[models]]\nid = 'a'\n[[models]]\nid = 'b'\naliases = ['A']"),
            "two models are called `A`",
        ),
        (
            &format!("{head}[[models]]\nid = 'a'\naliases = ['b']\n[[models]]\nid = 'b'"),
            "two models are called `b`",
        ),
    ] {
        let Err(error) = Catalog::from_toml(text) else { panic!("it was taken: {text}") };
        assert_eq!(error.kind(), ErrorKind::Config);
        let shown = error.to_string();
        assert!(shown.contains(words) && !shown.contains('\n'), "`{words}` is missing: {shown}");
    }
}

#[test]
fn a_model_is_found_by_id_and_alias_in_upper_and_lower_case() {
    let catalog = acme();
    for name in ["acme-eye", "ACME-EYE", "eye", "EYE", "eye-latest", "Eye-Latest"] {
        let card = catalog.card(name);
        assert_eq!((&*card.id, card.known, card.context), ("acme-eye", true, Some(8192)), "{name}");
    }
    assert!(catalog.find("acme").is_none() && catalog.find("").is_none());
}

#[test]
fn an_unknown_model_has_the_vendors_defaults_and_no_limits_of_its_own() {
    let card = acme().card("acme-next");
    assert!(!card.known && card.image.limits().is_none() && !card.image.is_no());
    assert_eq!(card.sampling.temperature.unwrap().to_string(), "[0, 1]");
    assert_eq!(card.citation().unwrap(), "Acme API reference, 2026-11-21");
}

#[test]
fn an_override_of_one_field_keeps_the_rest() {
    let catalog = acme()
        .with_models(rows("[[models]]\nid = 'ACME-Eye'\nimage.count = 50\nsampling.decimals = 4"))
        .unwrap();
    assert_eq!(catalog.cards().len(), 2);
    let card = catalog.card("eye");
    let image = card.image.limits().unwrap();
    assert_eq!((image.count, image.max_side, card.context), (Some(50), Some(6000), Some(8192)));
    assert_eq!((card.sampling.decimals, card.sampling.temperature.is_some()), (Some(4), true));
    assert_eq!(
        (&*card.id, card.prices.len(), card.known),
        ("acme-eye", 1, true),
        "the vendor's spelling stays"
    );
    assert_eq!(catalog.card("acme-blind").sampling.decimals, Some(2), "the others are as they were");
}

#[test]
fn an_override_by_alias_keeps_the_id() {
    let catalog = acme().with_models(rows("[[models]]\nid = 'eye'\ncontext = 1")).unwrap();
    for name in ["acme-eye", "eye"] {
        assert_eq!((&*catalog.card(name).id, catalog.card(name).context), ("acme-eye", Some(1)));
    }
}

#[test]
fn an_override_replaces_lists_and_switches() {
    let catalog = acme()
        .with_models(rows("[[models]]\nid = 'acme-eye'\naliases = ['look']\nimage = false\nprices = []"))
        .unwrap();
    let card = catalog.card("look");
    assert!(card.known && card.image.is_no() && card.prices.is_empty());
    assert!(catalog.find("eye").is_none(), "the old alias is gone");
    let catalog = catalog
        .with_models(rows("[[models]]\nid = 'eye'\n[[models]]\nid = 'acme-blind'\nimage = true"))
        .unwrap();
    assert_eq!(catalog.cards().len(), 3);
    assert!(catalog.card("acme-blind").image.is_yes());
}

#[test]
fn a_new_model_is_added_and_may_not_take_a_name() {
    let catalog = acme().with_models(rows("[[models]]\nid = 'mine'\ncontext = 5")).unwrap();
    assert_eq!((catalog.cards()[2].id.as_str(), catalog.card("mine").sampling.decimals), ("mine", Some(2)));
    let error = catalog.with_models(rows("[[models]]\nid = 'other'\naliases = ['EYE']")).unwrap_err();
    assert!(error.to_string().contains("two models are called `EYE`"), "{error}");
    let error = acme().with_models([ModelRow::new(5).unwrap()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn a_site_keeps_the_prices_of_its_own_currency() {
    let text = r#"
        vendor = "acme"
        [[models]]
        id = "eye"
        prices = [{ currency = "CNY", input = 1.0, output = 2.0 }, { currency = "USD", input = 0.2, output = 0.4 }]
    "#;
    let abroad = Catalog::from_toml(text).unwrap().in_currency("USD");
    assert_eq!(abroad.card("eye").prices.len(), 1);
    assert_eq!(abroad.card("eye").prices[0].input, 0.2);
    // Overrides are laid over what was kept.
    let row = "id = \"eye\"\ncontext = 5".parse::<toml::Table>().unwrap();
    let own = abroad.with_models([ModelRow::new(row).unwrap()]).unwrap();
    assert_eq!((own.card("eye").prices.len(), own.card("eye").context), (1, Some(5)));
    assert!(Catalog::from_toml(text).unwrap().in_currency("EUR").card("eye").prices.is_empty());
}
