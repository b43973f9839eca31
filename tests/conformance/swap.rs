//! Swapping the vendor is an edit of the config: one program, one dialogue, every deployment.

use image::ImageFormat;
use polysight::{ChatRequest, Conversation, Image, Message, Polysight, Result, Role};
use polysight_emulator::Emulator;
use polysight_testkit::acme::{AcmeServer, KEY};
use polysight_testkit::{calls, picture, sha256};

use crate::suite::fixture::registry;
use crate::suite::target::TARGETS;

fn pictures() -> [Vec<u8>; 2] {
    [picture(ImageFormat::Png, 64, 48), picture(ImageFormat::Jpeg, 90, 60)]
}

/// The program: it knows no vendor, no model and no address.
async fn compare(role: &Role, pictures: &[Vec<u8>; 2]) -> Result<String> {
    let mut talk = Conversation::new().with_system("Answer briefly.");
    let mut last = String::new();
    for (bytes, question) in pictures.iter().zip(["What is this?", "And what differs in this one?"]) {
        talk.push(Message::user_parts([Image::from_bytes(bytes.clone())?.into(), question.into()]));
        let answer = calls::plain(role, talk.request()).await?;
        talk.push_response(&answer);
        last = answer.text;
    }
    Ok(last)
}

/// What every answer must say.
fn facts() -> Vec<String> {
    let [first, second] = pictures();
    vec![
        "System: instructions of 15 characters.".to_owned(),
        "Picture 1: PNG, 64x48 px".to_owned(),
        format!("{} bytes, SHA-256 {}", first.len(), sha256(&first)),
        "Picture 2: JPEG, 90x60 px".to_owned(),
        format!("{} bytes, SHA-256 {}", second.len(), sha256(&second)),
        "This is user turn 2; the conversation holds 2 pictures.".to_owned(),
        "You asked: And what differs in this one?".to_owned(),
    ]
}

/// The base URL of each target, all of one emulator but that of the acme vendor.
async fn servers() -> (Emulator, AcmeServer) {
    // The target of any server needs one that takes every model.
    (Emulator::builder().any_model(true).start().await.unwrap(), AcmeServer::start().await)
}

fn base_urls(emulator: &Emulator, acme: &AcmeServer) -> [String; TARGETS.len()] {
    std::array::from_fn(|index| match TARGETS[index].surface {
        Some(surface) => emulator.base_url(surface),
        None => acme.base_url(),
    })
}

#[tokio::test]
async fn one_program_gets_the_same_facts_from_every_config() {
    let (emulator, acme) = servers().await;
    let pictures = pictures();
    for (target, base_url) in TARGETS.iter().zip(base_urls(&emulator, &acme)) {
        let config = target.config(&base_url, target.key, "");
        let role = Polysight::from_toml_with(&config, registry()).unwrap().role("vision").unwrap();
        let answer = compare(&role, &pictures).await.unwrap();
        for fact in facts() {
            assert!(answer.contains(&fact), "{}: {fact} is not in: {answer}", target.name);
        }
    }
}

/// One file with a role for each target.
fn every_role(emulator: &Emulator, acme: &AcmeServer) -> String {
    let mut config = String::new();
    for (target, base_url) in TARGETS.iter().zip(base_urls(emulator, acme)) {
        let name = target.name.replace(' ', "-");
        let own = target.config(&base_url, target.key, "");
        let provider =
            own.split("[roles.").next().unwrap().replace("[providers.it]", &format!("[providers.{name}]"));
        let model = target.models.vision;
        config.push_str(&format!("{provider}\n[roles.{name}]\nprovider = \"{name}\"\nmodel = \"{model}\"\n"));
    }
    config
}

#[tokio::test]
async fn roles_that_accept_a_request_are_known_before_anything_is_sent() {
    let (emulator, acme) = servers().await;
    let polysight = Polysight::from_toml_with(&every_role(&emulator, &acme), registry()).unwrap();
    let images = || pictures().map(|bytes| Image::from_bytes(bytes).unwrap());
    let request = ChatRequest::ask("What differs?", images());
    let all = polysight.compare_plans(&request).unwrap();
    assert_eq!(all.candidates().len(), TARGETS.len());
    assert_eq!(all.accepting().count(), TARGETS.len(), "{all}");
    let counted = |name: &str| {
        all.accepting()
            .find(|(role, _)| *role == name)
            .and_then(|(_, plan)| plan.estimate.image_tokens.number())
    };
    assert!(
        counted("qwen-vl-native").is_some() && counted("zhipu").is_some() && counted("ernie").is_none(),
        "formulas are known or not: {all}"
    );

    // Twelve pictures are too many for some, and a temperature over 1 is too much for others.
    let many = (0..6).flat_map(|_| images());
    let demanding = ChatRequest::ask("What differs?", many).with_temperature(1.5);
    let all = polysight.compare_plans(&demanding).unwrap();
    let accepting: Vec<&str> = all.accepting().map(|(name, _)| name).collect();
    assert_eq!(accepting, ["gateway-qwen-vl", "openai", "qwen-vl", "qwen-vl-native"], "{all}");
    for candidate in all.candidates() {
        if let Err(error) = &candidate.outcome {
            assert!(!error.violations().is_empty(), "{}: {error}", candidate.name);
        }
    }
    assert!(emulator.requests().is_empty() && acme.requests().is_empty(), "nothing was sent");
}

#[tokio::test]
async fn accepting_roles_answer_and_each_uses_its_own_key() {
    let (emulator, acme) = servers().await;
    let polysight = Polysight::from_toml_with(&every_role(&emulator, &acme), registry()).unwrap();
    let request =
        ChatRequest::ask("What differs?", pictures().map(|bytes| Image::from_bytes(bytes).unwrap()));
    for name in polysight.role_names() {
        let answer = calls::plain(&polysight.role(name).unwrap(), request.clone()).await.unwrap();
        assert!(answer.text.contains("Picture 2: JPEG"), "{name}: {}", answer.text);
        assert_eq!(answer.provider, name);
    }
    let arrived: Vec<String> = emulator.requests().iter().map(|request| format!("{request:?}")).collect();
    assert_eq!(arrived.len() + acme.requests().len(), TARGETS.len());
    assert!(arrived.iter().all(|request| !request.contains(KEY)));
}
