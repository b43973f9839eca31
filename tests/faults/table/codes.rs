//! What each vendor's codes stand for, as its documents have it: written apart from the tables in its crate and in the emulator.

use ErrorKind::{
    Authentication, Billing, ContentRefused, ContextTooLong, InvalidRequest, MediaFetchFailed, ModelNotFound,
    Overloaded, Permission, QuotaExhausted, RateLimited, Server, Unsupported,
};
use polysight::{Billed, ErrorKind, RateLimitScope};
use polysight_emulator::Fault;

use super::row::Advice::{self, Later, Never};
use super::row::{Outcome, refused};

/// A code, and what must come of it.
pub(super) struct Coded {
    pub(super) code: &'static str,
    pub(super) form: Form,
    kind: ErrorKind,
    advice: Advice,
    throttle: Option<RateLimitScope>,
    billed: Billed,
}

/// How the code arrives.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    /// With the status and words that the emulator's table has for it.
    Usual,
    /// With a status and words of its own.
    With(u16, &'static str),
    /// `{"error_code", "error_msg"}` under HTTP 200, as the retired surface of Qianfan did.
    Numeric,
}

impl Coded {
    const fn throttled_by(mut self, throttle: RateLimitScope) -> Self {
        self.throttle = Some(throttle);
        self
    }

    const fn costing(mut self, billed: Billed) -> Self {
        self.billed = billed;
        self
    }

    const fn under(mut self, status: u16, words: &'static str) -> Self {
        self.form = Form::With(status, words);
        self
    }

    pub(super) fn outcome(&self) -> Outcome {
        refused(self.kind, self.advice).throttled_by(self.throttle).coded(self.code).costing(self.billed)
    }

    /// The emulator's fault that sends it; `None` where a server of the row's own must.
    pub(super) fn fault(&self) -> Option<Fault> {
        let code = self.code.to_owned();
        match self.form {
            Form::Usual => Some(Fault::Code(code)),
            Form::With(status, words) => {
                Some(Fault::Status { status, code, message: words.to_owned(), headers: Vec::new() })
            }
            Form::Numeric => None,
        }
    }
}

const fn code(code: &'static str, kind: ErrorKind, advice: Advice) -> Coded {
    Coded { code, form: Form::Usual, kind, advice, throttle: None, billed: Billed::No }
}

const fn number(code: &'static str, kind: ErrorKind, advice: Advice) -> Coded {
    Coded { code, form: Form::Numeric, kind, advice, throttle: None, billed: Billed::No }
}

/// The vendor's table of 2026, and those of 2024 and 2025 for what may still be seen.
pub(super) const ZHIPU: &[Coded] = &[
    code("500", Server, Later),
    code("1000", Authentication, Never),
    code("1001", Authentication, Never),
    code("1002", Authentication, Never),
    // A plain key cannot be made anew.
    code("1003", Authentication, Never),
    code("1004", Authentication, Never),
    code("1005", Authentication, Never),
    code("1100", Permission, Never),
    code("1110", Permission, Never),
    code("1111", Permission, Never),
    code("1112", Permission, Never),
    code("1113", Billing, Never),
    code("1120", Server, Later),
    code("1121", Permission, Never),
    code("1200", Server, Later),
    code("1210", InvalidRequest, Never),
    code("1211", ModelNotFound, Never),
    code("1212", Unsupported, Never),
    code("1213", InvalidRequest, Never),
    code("1214", InvalidRequest, Never),
    code("1215", InvalidRequest, Never),
    code("1220", Permission, Never),
    code("1221", Unsupported, Never),
    code("1222", Unsupported, Never),
    code("1230", Server, Later),
    code("1231", InvalidRequest, Later),
    // In no table of the vendor.
    code("1232", InvalidRequest, Never),
    code("1233", InvalidRequest, Never),
    code("1234", Server, Later),
    code("1261", ContextTooLong, Never),
    code("1300", ContentRefused, Never),
    code("1301", ContentRefused, Never),
    code("1302", RateLimited, Later).throttled_by(RateLimitScope::Account),
    code("1303", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    code("1304", QuotaExhausted, Never),
    code("1305", Overloaded, Later).throttled_by(RateLimitScope::Model),
    code("1308", QuotaExhausted, Never),
    code("1309", Billing, Never),
    code("1310", QuotaExhausted, Never),
    code("1311", Permission, Never),
    code("1312", Overloaded, Later).throttled_by(RateLimitScope::Model),
    code("1313", RateLimited, Never),
    code("1314", Permission, Never),
    code("1315", Permission, Never),
    code("1316", QuotaExhausted, Never),
    code("1317", QuotaExhausted, Never),
    code("1318", QuotaExhausted, Never),
    code("1319", QuotaExhausted, Never),
    code("1320", QuotaExhausted, Never),
    code("1321", QuotaExhausted, Never),
    code("1210", MediaFetchFailed, Never).under(400, "图片输入格式/解析错误"),
    code("9999", RateLimited, Later).under(429, "a code that no table has"),
];

/// The codes that both protocols of DashScope spell alike.
pub(super) const DASHSCOPE: &[Coded] = &[
    code("InvalidParameter.NotSupportEnableThinking", InvalidRequest, Never),
    code("InvalidParameter.DataInspection", MediaFetchFailed, Later),
    code("InvalidURL", MediaFetchFailed, Never),
    code("InvalidURL.ConnectionRefused", MediaFetchFailed, Never),
    code("InvalidURL.Timeout", MediaFetchFailed, Later),
    code("BadRequest.EmptyInput", InvalidRequest, Never),
    code("BadRequest.EmptyParameters", InvalidRequest, Never),
    code("BadRequest.EmptyModel", InvalidRequest, Never),
    code("BadRequest.IllegalInput", InvalidRequest, Never),
    code("BadRequest.InputDownloadFailed", MediaFetchFailed, Later),
    code("BadRequest.UnsupportedFileFormat", InvalidRequest, Never),
    code("BadRequest.TooLarge", InvalidRequest, Never),
    code("BadRequest.TooMany", InvalidRequest, Never),
    code("InvalidImageFormat", InvalidRequest, Never),
    code("InvalidImage.Resolution", InvalidRequest, Never),
    code("InvalidFile.Duration", InvalidRequest, Never),
    code("InvalidFile.Size", InvalidRequest, Never),
    code("InvalidFile.Format", InvalidRequest, Never),
    code("Arrearage", Billing, Never),
    code("IPInfringementSuspect", ContentRefused, Never),
    code("FaqRuleBlocked", ContentRefused, Never),
    code("CustomRoleBlocked", ContentRefused, Never),
    code("UnsupportedOperation", Unsupported, Never),
    code("NOT AUTHORIZED", Authentication, Never),
    code("AccessDenied.Unpurchased", Billing, Never),
    code("Model.AccessDenied", Permission, Never),
    code("App.AccessDenied", Permission, Never),
    code("Workspace.AccessDenied", Permission, Never),
    code("AllocationQuota.FreeTierOnly", Billing, Never),
    code("WorkSpaceNotFound", Permission, Never),
    code("NotFound", InvalidRequest, Never),
    code("RequestTooLarge", InvalidRequest, Never),
    code("Throttling", RateLimited, Later),
    code("Throttling.ServiceOverloaded", Overloaded, Later).throttled_by(RateLimitScope::Model),
    code("CommodityNotPurchased", Billing, Never),
    code("PrepaidBillOverdue", Billing, Never),
    code("PostpaidBillOverdue", Billing, Never),
    code("BudgetLimitExceeded", Billing, Never),
    code("InternalError.Timeout", Server, Later),
    code("InternalError.FileUpload", Server, Later),
    code("InternalError.Upload", Server, Later),
    code("SystemError", Server, Later),
    code("ModelServiceFailed", Server, Later),
    code("ResponseTimeout", Server, Later),
    code("InvokePluginFailed", Server, Later),
    code("ModelServingError", Overloaded, Later),
    code("ModelUnavailable", Overloaded, Later),
    code("ServiceUnavailable", Overloaded, Later),
    code("GatewayTimeout", Server, Later),
];

pub(super) const DASHSCOPE_COMPATIBLE: &[Coded] = &[
    code("invalid_parameter_error", InvalidRequest, Never),
    code("invalid_value", InvalidRequest, Never),
    code("invalid_request_error", InvalidRequest, Never),
    code("data_inspection_failed", ContentRefused, Never),
    code("invalid_api_key", Authentication, Never),
    code("access_denied", Permission, Never),
    code("model_not_found", ModelNotFound, Never),
    code("model_not_supported", Unsupported, Never),
    code("request_timeout", Server, Later),
    code("limit_requests", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    code("LimitRequests", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    code("limit_burst_rate", RateLimited, Later).throttled_by(RateLimitScope::Burst),
    code("insufficient_quota", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    code("insufficient_quota", Billing, Never).under(429, "Free allocated quota exceeded."),
    code("internal_error", Server, Later),
    code("invalid_parameter_error", ContextTooLong, Never)
        .under(400, "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]"),
    code("invalid_parameter_error", MediaFetchFailed, Later)
        .under(400, "<400> InternalError.Algo.InvalidParameter: Failed to download multimodal content"),
];

pub(super) const DASHSCOPE_NATIVE: &[Coded] = &[
    code("InvalidParameter", InvalidRequest, Never),
    code("DataInspectionFailed", ContentRefused, Never),
    code("InvalidApiKey", Authentication, Never),
    code("AccessDenied", Permission, Never),
    code("AccessDenied", Unsupported, Never)
        .under(403, "current user api does not support asynchronous calls"),
    code("ModelNotFound", ModelNotFound, Never),
    code("RequestTimeOut", Server, Later),
    code("Throttling.RateQuota", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    code("Throttling.BurstRate", RateLimited, Later).throttled_by(RateLimitScope::Burst),
    code("Throttling.AllocationQuota", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    code("Throttling.AllocationQuota", Billing, Never).under(429, "Free allocated quota exceeded."),
    code("InternalError", Server, Later),
    code("InternalError.Algo", Server, Later),
    code("InternalError.Algo", InvalidRequest, Never).under(500, "list index out of range"),
    code("InternalError.Algo", MediaFetchFailed, Never)
        .under(500, "Missing Content-Length of multimodal url"),
    code("InvalidParameter", ModelNotFound, Never).under(400, "Model not exist."),
];

/// The vendor's table of V2, its spelling included.
pub(super) const QIANFAN: &[Coded] = &[
    code("malformed_json", InvalidRequest, Never),
    code("invalid_model", ModelNotFound, Never),
    code("invalid_model", InvalidRequest, Never).under(400, "model is empty"),
    code("invalid_messages", InvalidRequest, Never),
    code("characters_too_long", ContextTooLong, Never),
    code("tokens_too_long", ContextTooLong, Never),
    code("invalid_argument", InvalidRequest, Never),
    code("invalid_image_url", InvalidRequest, Never),
    code("invalid_image_url", MediaFetchFailed, Never).under(400, "cannot download"),
    code("invalid_plugin_argument", InvalidRequest, Never),
    code("invalid_image_genration_prompt", InvalidRequest, Never),
    code("invalid_image_genration_refer_image", InvalidRequest, Never),
    code("image_url_unsafe", ContentRefused, Never),
    code("no_parameter_permission", Permission, Never),
    code("invalid_appid", Permission, Never),
    // A key of the console cannot be made anew.
    code("invalid_iam_token", Authentication, Never),
    code("system_unsafe", ContentRefused, Never),
    code("user_setting_unsafe", ContentRefused, Never),
    code("functions_unsafe", ContentRefused, Never),
    code("account_overdue", Billing, Never),
    code("model_offline", ModelNotFound, Never),
    code("method_not_supported", ErrorKind::Config, Never),
    code("rpm_rate_limit_exceeded", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    code("tpm_rate_limit_exceeded", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    code("input_tpm_rate_limit_exceeded", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    code("output_tpm_rate_limit_exceeded", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    code("Offline_batch_reasoning_refused", Overloaded, Later),
    code("preemptible_rate_limit_exceeded", RateLimited, Later),
    code("user_rate_limit_exceeded", RateLimited, Later).throttled_by(RateLimitScope::Burst),
    code("cluster_rate_limit_exceeded", Overloaded, Later),
    code("cluster_rpm_rate_limit_exceeded", Overloaded, Later),
    code("cluster_tpm_rate_limit_exceeded", Overloaded, Later),
    code("internal_error", Server, Later),
    code("dispatch_internal_error", Server, Later),
    code("image_genration_interal_error", Server, Later),
];

/// The numbers of V1.
pub(super) const QIANFAN_V1: &[Coded] = &[
    number("1", Server, Later),
    number("2", Overloaded, Later),
    number("3", Unsupported, Never),
    number("4", Overloaded, Later),
    number("6", Permission, Never),
    number("13", Authentication, Never),
    number("14", Authentication, Never),
    number("15", Server, Later),
    number("17", QuotaExhausted, Never),
    number("18", RateLimited, Later).throttled_by(RateLimitScope::Burst),
    number("19", QuotaExhausted, Never),
    number("100", Authentication, Never),
    number("110", Authentication, Never),
    number("111", Authentication, Never),
    number("336000", Server, Later),
    number("336001", InvalidRequest, Never),
    number("336002", InvalidRequest, Never),
    number("336003", InvalidRequest, Never),
    number("336004", Permission, Never),
    number("336005", ModelNotFound, Never),
    number("336006", InvalidRequest, Never),
    number("336007", InvalidRequest, Never),
    number("336100", Overloaded, Later),
    number("336101", InvalidRequest, Never),
    number("336102", InvalidRequest, Never),
    number("336104", ContentRefused, Never),
    number("336105", ContentRefused, Never),
    number("336501", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    number("336502", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    number("336503", RateLimited, Later),
];

/// What gateways of the OpenAI kind say, and native codes of the vendor behind them that they pass on.
pub(super) const GATEWAY: &[Coded] = &[
    code("invalid_value", InvalidRequest, Never).under(400, "top_p must be within 0 and 1"),
    code("context_length_exceeded", ContextTooLong, Never)
        .under(400, "maximum context length is 32768 tokens"),
    code("content_filter", ContentRefused, Never).under(400, "blocked"),
    code("content_policy_violation", ContentRefused, Never).under(400, "blocked"),
    code("invalid_api_key", Authentication, Never).under(401, "this API key is not known"),
    code("402", Billing, Never).under(402, "out of credits"),
    code("permission_denied", Permission, Never).under(403, "not for this key"),
    code("model_not_found", ModelNotFound, Never).under(404, "the model does not exist"),
    code("rate_limit_exceeded", RateLimited, Later).under(429, "this key has used up its requests"),
    code("429", RateLimited, Later).under(429, "RateLimitError"),
    code("insufficient_quota", QuotaExhausted, Never).under(429, "you exceeded your current quota"),
    code("server_error", Server, Later).under(500, "inference failed"),
    code("502", Server, Later).under(502, "no reply from behind").costing(Billed::Perhaps),
    code("overloaded_error", Overloaded, Later).under(529, "overloaded"),
    code("service_unavailable", Overloaded, Later).under(503, "try again later"),
    code("504", Server, Later).under(504, "no reply from behind").costing(Billed::Likely),
    code("Arrearage", Billing, Never),
    code("DataInspectionFailed", ContentRefused, Never),
    code("Throttling.RateQuota", RateLimited, Later).throttled_by(RateLimitScope::Requests),
    code("Throttling.AllocationQuota", RateLimited, Later).throttled_by(RateLimitScope::Tokens),
    code("Throttling.BurstRate", RateLimited, Later).throttled_by(RateLimitScope::Burst),
];
