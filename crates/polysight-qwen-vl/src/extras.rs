//! Options that only this vendor has.

use http::HeaderValue;
use polysight_core::plan::PlanBuilder;
use polysight_core::{ResponseFormat, VendorExtras};
use polysight_wire::chat::RESERVED_EXTRAS;
use polysight_wire::vendor::Deployment;
use serde_json::{Map, Value, json};

use crate::profile::Wire;
use crate::settings::Protocol;

/// The vendor's id, under which extras are found.
pub const VENDOR: &str = "qwen-vl";

/// Options that only this vendor has, for [`ChatRequest::with_extras`](polysight_core::ChatRequest::with_extras).
///
/// ```
/// use polysight_core::ChatRequest;
/// use polysight_qwen_vl::QwenVlExtras;
///
/// let request = ChatRequest::default().with_extras(QwenVlExtras::new().with_high_resolution(true));
/// assert_eq!(request.extras["qwen-vl"]["vl_high_resolution_images"], true);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct QwenVlExtras {
    /// Whether pictures are looked at with up to 16,384 tokens each; their own upper budgets do not count then. Default
    /// false.
    pub high_resolution: Option<bool>,
    /// What an OCR model does, in the native protocol only.
    pub ocr: Option<OcrTask>,
    /// Whether the answer tells the sizes to which pictures were scaled, in the native protocol only; read them by
    /// [`image_sizes`](crate::image_sizes).
    pub image_sizes: Option<bool>,
    /// Whether the model may search the web.
    pub search: Option<bool>,
    /// Whether reasoning of earlier turns is sent back and read; qwen3.6-plus and later.
    pub preserve_thinking: Option<bool>,
    /// Whether arguments of tool calls are streamed in pieces.
    pub tool_stream: Option<bool>,
    /// How strictly input and output are inspected, sent as a header.
    pub data_inspection: Option<DataInspection>,
}

/// What an OCR model does with a picture.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum OcrTask {
    /// Reads the text.
    TextRecognition,
    /// Reads the values of a form by a schema: a JSON object whose keys are what to look for.
    KeyInformation(Value),
    /// Reads tables as HTML.
    Tables,
    /// Reads a document as LaTeX.
    Document,
    /// Reads formulas as LaTeX.
    Formulas,
    /// Reads text of many languages.
    ManyLanguages,
    /// Reads text with the places of its words.
    Places,
}

impl OcrTask {
    fn into_value(self) -> Value {
        match self {
            Self::TextRecognition => json!({"task": "text_recognition"}),
            Self::KeyInformation(schema) => json!({
                "task": "key_information_extraction",
                "task_config": {"result_schema": schema},
            }),
            Self::Tables => json!({"task": "table_parsing"}),
            Self::Document => json!({"task": "document_parsing"}),
            Self::Formulas => json!({"task": "formula_recognition"}),
            Self::ManyLanguages => json!({"task": "multi_lan"}),
            Self::Places => json!({"task": "advanced_recognition"}),
        }
    }
}

/// How strictly the vendor inspects what goes in and out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataInspection {
    /// The vendor's further inspection of input and output, which needs its consent: `{"input":"cip","output":"cip"}`.
    InputAndOutput,
    /// `enable`.
    Enable,
}

impl DataInspection {
    fn value(self) -> &'static str {
        match self {
            Self::InputAndOutput => r#"{"input":"cip","output":"cip"}"#,
            Self::Enable => "enable",
        }
    }
}

impl QwenVlExtras {
    /// Nothing set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says whether pictures are looked at with up to 16,384 tokens each.
    #[must_use]
    pub fn with_high_resolution(mut self, high: bool) -> Self {
        self.high_resolution = Some(high);
        self
    }

    /// Says what an OCR model does.
    #[must_use]
    pub fn with_ocr(mut self, task: OcrTask) -> Self {
        self.ocr = Some(task);
        self
    }

    /// Says whether the answer tells the sizes to which pictures were scaled.
    #[must_use]
    pub fn with_image_sizes(mut self, sizes: bool) -> Self {
        self.image_sizes = Some(sizes);
        self
    }

    /// Says whether the model may search the web.
    #[must_use]
    pub fn with_search(mut self, search: bool) -> Self {
        self.search = Some(search);
        self
    }

    /// Says whether reasoning of earlier turns is sent back and read.
    #[must_use]
    pub fn with_preserve_thinking(mut self, preserve: bool) -> Self {
        self.preserve_thinking = Some(preserve);
        self
    }

    /// Says whether arguments of tool calls are streamed in pieces.
    #[must_use]
    pub fn with_tool_stream(mut self, pieces: bool) -> Self {
        self.tool_stream = Some(pieces);
        self
    }

    /// Says how strictly input and output are inspected.
    #[must_use]
    pub fn with_data_inspection(mut self, inspection: DataInspection) -> Self {
        self.data_inspection = Some(inspection);
        self
    }
}

impl VendorExtras for QwenVlExtras {
    const VENDOR: &'static str = VENDOR;

    fn into_fields(self) -> Map<String, Value> {
        let switches = [
            (HIGH_RESOLUTION, self.high_resolution),
            (IMAGE_SIZES, self.image_sizes),
            ("enable_search", self.search),
            (PRESERVE_THINKING, self.preserve_thinking),
            ("tool_stream", self.tool_stream),
        ];
        let mut fields = Map::new();
        for (name, switch) in switches {
            if let Some(switch) = switch {
                fields.insert(name.to_owned(), switch.into());
            }
        }
        if let Some(task) = self.ocr {
            fields.insert(OCR.to_owned(), task.into_value());
        }
        if let Some(inspection) = self.data_inspection {
            fields.insert(DATA_INSPECTION.to_owned(), inspection.value().into());
        }
        fields
    }
}

pub(crate) const HIGH_RESOLUTION: &str = "vl_high_resolution_images";
pub(crate) const PRESERVE_THINKING: &str = "preserve_thinking";
/// Extra that becomes a header.
pub(crate) const DATA_INSPECTION: &str = "data_inspection";
const IMAGE_SIZES: &str = "vl_enable_image_hw_output";
const OCR: &str = "ocr_options";

/// Fields of this vendor's bodies that a request has fields of its own for, or that the profile sets itself.
const RESERVED: [(&str, &str); 11] = [
    ("input", "messages"),
    ("parameters", "fields, and extras by their own names"),
    ("incremental_output", "a streamed call"),
    ("result_format", "a call: answers are always messages"),
    ("top_k", "sampling"),
    ("presence_penalty", "sampling"),
    ("frequency_penalty", "sampling"),
    ("repetition_penalty", "sampling"),
    ("max_completion_tokens", "max_tokens"),
    ("enable_thinking", "thinking"),
    ("thinking_budget", "thinking"),
];

/// Writes the form of an answer as the task of an OCR model.
fn add_form(builder: &mut PlanBuilder) {
    let ResponseFormat::Extract { schema: form, .. } = &mut builder.request.response_format else { return };
    let task = OcrTask::KeyInformation(form.take()).into_value();
    builder.request.response_format = ResponseFormat::Text;
    let fields = builder.request.extras.entry(VENDOR.to_owned()).or_default();
    if fields.insert(OCR.to_owned(), task).is_some() {
        let problem = "an OCR task is given beside a form of the answer, which is a task too";
        let path = format!("extras.{VENDOR}.{OCR}");
        builder.findings.reject(path, problem, "one of them", "leave the extra out, or ask for text");
    }
    builder.findings.warn("an OCR task has a prompt of its own: texts of the request may not be read");
}

/// Refuses extras that would say twice what the request says itself, and those that this wire cannot say.
pub(crate) fn check(builder: &mut PlanBuilder, deployment: &Deployment<Wire>, protocol: Protocol) {
    add_form(builder);
    builder.refuse_extras(VENDOR, &RESERVED_EXTRAS);
    builder.refuse_extras(VENDOR, &RESERVED);
    let Some(fields) = builder.request.extras.get_mut(VENDOR) else { return };
    let findings = &mut builder.findings;
    let path = |field: &str| format!("extras.{VENDOR}.{field}");
    if protocol == Protocol::Compatible {
        for field in [OCR, IMAGE_SIZES].into_iter().filter(|field| fields.contains_key(*field)) {
            let fix = "set protocol = \"native\" in the provider's settings";
            findings.reject(
                path(field),
                "the compatible protocol has no such field",
                "the native protocol",
                fix,
            );
        }
    }
    let Some(inspection) = fields.get(DATA_INSPECTION) else { return };
    if inspection_header(inspection).is_none() {
        let limit = "`enable`, or an object such as {\"input\": \"cip\"}";
        findings.reject(path(DATA_INSPECTION), "it is nothing that a header could say", limit, "");
    } else if !deployment.is_vendor {
        if findings.lossy(path(DATA_INSPECTION), "left out: only the vendor itself inspects") {
            fields.remove(DATA_INSPECTION);
        } else {
            let problem = format!("a {} inspects nothing", deployment.name);
            findings.reject(path(DATA_INSPECTION), problem, "the vendor itself", "leave it out");
        }
    }
}

/// What the header of data inspection says: text as it is, an object as JSON.
pub(crate) fn inspection_header(value: &Value) -> Option<HeaderValue> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Object(_) => value.to_string(),
        _ => return None,
    };
    HeaderValue::try_from(text).ok()
}
