//! What is sent through a proxy.

use crate::server::Scenario;

pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub pictures: usize,
    pub picture_bytes: usize,
    pub scenario: Scenario,
    pub requests: usize,
    /// Requests through a proxy that takes a hundred times as long.
    pub few: usize,
    pub in_flight: usize,
    /// Whether latency is measured too, at half load.
    pub is_paced: bool,
}

const SMALL: Case = Case {
    name: "small",
    what: "a small text, 16 in flight",
    pictures: 0,
    picture_bytes: 0,
    scenario: Scenario::Answer,
    requests: 5_000,
    few: 400,
    in_flight: 16,
    is_paced: true,
};

pub const CASES: &[Case] = &[
    SMALL,
    Case {
        name: "photo",
        what: "a picture of 338 KB, 4 in flight",
        pictures: 1,
        picture_bytes: crate::cases::PHOTO,
        requests: 600,
        few: 60,
        in_flight: 4,
        ..SMALL
    },
    Case {
        name: "pictures",
        what: "five pictures of 5 MB, 16 in flight",
        pictures: 5,
        picture_bytes: 5_000_000,
        requests: 16,
        few: 16,
        is_paced: false,
        ..SMALL
    },
    Case {
        name: "deltas",
        what: "a stream of 20,000 deltas",
        scenario: Scenario::Deltas { count: 20_000, chunk: 0 },
        requests: 20,
        few: 2,
        in_flight: 1,
        is_paced: false,
        ..SMALL
    },
    Case {
        name: "streams",
        what: "1,000 concurrent streams, of 20 deltas in 5 s",
        scenario: Scenario::Slow { count: 20, pause_ms: 250 },
        requests: 1_000,
        few: 1_000,
        in_flight: 1_000,
        is_paced: false,
        ..SMALL
    },
];

impl Case {
    /// What the upstream answers to; a gateway's model of the same name is served there.
    pub fn segment(&self) -> String {
        self.scenario.segment()
    }

    /// The body of a request, with the same picture as often as is wanted.
    pub fn body(&self, picture: &[u8]) -> String {
        let stream = !matches!(self.scenario, Scenario::Answer);
        let url = base64_simd::STANDARD.encode_to_string(picture);
        let part = format!(r#"{{"type":"image_url","image_url":{{"url":"data:image/jpeg;base64,{url}"}}}},"#);
        format!(
            r#"{{"model":"{}","stream":{stream},"messages":[{{"role":"user","content":[{}{{"type":"text","text":"What is it?"}}]}}]}}"#,
            self.segment(),
            part.repeat(self.pictures)
        )
    }
}
