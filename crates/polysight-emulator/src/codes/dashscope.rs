//! DashScope's error codes in both spellings, the HTTP status each comes with, and what it says.
//!
//! Codes and statuses are from the vendor's error pages and its own SDK; texts are the vendor's where they are known and
//! ours elsewhere. A code without a spelling for compatible mode is sent there as it is.

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Code {
    pub(crate) status: u16,
    /// As `/api/v1` spells it.
    pub(crate) native: &'static str,
    /// As `/compatible-mode/v1` spells it.
    pub(crate) compatible: &'static str,
    pub(crate) text: &'static str,
}

const fn row(status: u16, native: &'static str, compatible: &'static str, text: &'static str) -> Code {
    Code { status, native, compatible, text }
}

/// A code with one spelling.
const fn same(status: u16, code: &'static str, text: &'static str) -> Code {
    row(status, code, code, text)
}

#[rustfmt::skip] // one row a line
const CODES: &[Code] = &[
    row(400, "InvalidParameter", "invalid_parameter_error", "Required parameter(s) missing or invalid, please check the request parameters."),
    row(400, "InvalidParameter", "invalid_value", "A parameter has a value that is not allowed."),
    row(400, "InvalidParameter", "invalid_request_error", "The request body is malformed."),
    same(400, "InvalidParameter.NotSupportEnableThinking", "The model does not support this value of enable_thinking."),
    same(400, "InvalidParameter.DataInspection", "Unable to download the media resource during the data inspection process."),
    same(400, "InvalidURL", "The provided URL does not appear to be valid. Ensure it is correctly formatted."),
    same(400, "InvalidURL.ConnectionRefused", "Connection to the provided URL was refused."),
    same(400, "InvalidURL.Timeout", "Download multimodal file timed out."),
    same(400, "BadRequest.EmptyInput", "Required input parameter missing from request."),
    same(400, "BadRequest.EmptyParameters", "Required parameter \"parameters\" missing from request."),
    same(400, "BadRequest.EmptyModel", "Required parameter \"model\" missing from request."),
    same(400, "BadRequest.IllegalInput", "The input parameter requires json format."),
    same(400, "BadRequest.InputDownloadFailed", "Failed to download the input file."),
    same(400, "BadRequest.UnsupportedFileFormat", "Input file format is not supported."),
    same(400, "BadRequest.TooLarge", "Payload Too Large."),
    same(400, "BadRequest.TooMany", "Too many files in the request."),
    same(400, "InvalidImageFormat", "The image format is illegal and cannot be opened."),
    same(400, "InvalidImage.Resolution", "The image resolution is invalid."),
    same(400, "InvalidFile.Duration", "The duration of the file is out of range."),
    same(400, "InvalidFile.Size", "The file is too large."),
    same(400, "InvalidFile.Format", "The format of the file is not supported."),
    same(400, "Arrearage", "Access denied, please make sure your account is in good standing."),
    row(400, "DataInspectionFailed", "data_inspection_failed", "Input data may contain inappropriate content."),
    same(400, "IPInfringementSuspect", "Input data is suspected of being involved in IP infringement."),
    same(400, "FaqRuleBlocked", "Input or output data is blocked by faq rule."),
    same(400, "CustomRoleBlocked", "Input or output data may contain inappropriate content with custom rule."),
    same(400, "UnsupportedOperation", "The operation is unsupported on the referee object."),
    row(401, "InvalidApiKey", "invalid_api_key", "Invalid API-key provided."),
    same(401, "NOT AUTHORIZED", "Access denied: the workspace does not allow this."),
    row(403, "AccessDenied", "access_denied", "Access denied."),
    same(403, "AccessDenied.Unpurchased", "Access to model denied. Please make sure you are eligible for using the model."),
    same(403, "Model.AccessDenied", "Model access denied."),
    same(403, "App.AccessDenied", "App access denied."),
    same(403, "Workspace.AccessDenied", "Workspace access denied."),
    same(403, "AllocationQuota.FreeTierOnly", "The free tier of the model has been exhausted."),
    row(404, "ModelNotFound", "model_not_found", "The model does not exist or you do not have access to it."),
    row(404, "ModelNotFound", "model_not_supported", "Unsupported model for OpenAI compatibility mode."),
    same(404, "WorkSpaceNotFound", "WorkSpace can not be found."),
    same(404, "NotFound", "Not found."),
    row(408, "RequestTimeOut", "request_timeout", "Request timed out, please try again later."),
    same(413, "RequestTooLarge", "The request body is too large."),
    same(429, "Throttling", "Requests throttling triggered."),
    row(429, "Throttling.RateQuota", "limit_requests", "Requests rate limit exceeded, please try again later."),
    row(429, "Throttling.RateQuota", "LimitRequests", "You exceeded your current requests list."),
    row(429, "Throttling.BurstRate", "limit_burst_rate", "Request rate increased too quickly. Please increase it smoothly."),
    row(429, "Throttling.AllocationQuota", "insufficient_quota", "Allocated quota exceeded, please increase your quota limit."),
    same(429, "Throttling.ServiceOverloaded", "The service is overloaded, please try again later."),
    same(429, "CommodityNotPurchased", "Commodity has not been purchased yet."),
    same(429, "PrepaidBillOverdue", "The prepaid bill is overdue."),
    same(429, "PostpaidBillOverdue", "The postpaid bill is overdue."),
    same(429, "BudgetLimitExceeded", "The budget limit has been exceeded."),
    row(500, "InternalError", "internal_error", "An internal error has occurred, please try again later."),
    row(500, "InternalError.Algo", "internal_error", "An internal error has occurred in the algorithm."),
    same(500, "InternalError.Timeout", "An internal timeout error has occurred."),
    same(500, "InternalError.FileUpload", "Failed to upload the result."),
    same(500, "InternalError.Upload", "Failed to upload the result."),
    same(500, "SystemError", "A system error has occurred, please try again later."),
    same(500, "ModelServiceFailed", "Failed to call the model service."),
    same(500, "ResponseTimeout", "Response timed out."),
    same(500, "InvokePluginFailed", "Failed to invoke the plugin."),
    same(503, "ModelServingError", "Too many requests. Your requests are being throttled due to system capacity limits."),
    same(503, "ModelUnavailable", "The model is unavailable, please try again later."),
    same(503, "ServiceUnavailable", "The service is unavailable, please try again later."),
    same(504, "GatewayTimeout", "The gateway timed out."),
];

/// The row of a code in either spelling.
pub(crate) fn find(code: &str) -> Option<Code> {
    CODES.iter().find(|row| row.native == code || row.compatible == code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_pair_of_spellings_stands_twice() {
        for (index, row) in CODES.iter().enumerate() {
            let twin = |other: &Code| (other.native, other.compatible) == (row.native, row.compatible);
            assert!(!CODES.iter().skip(index + 1).any(twin), "{}", row.native);
            assert!(!row.text.is_empty() && row.status >= 400, "{}", row.native);
        }
    }

    #[test]
    fn finds_both_spellings() {
        assert_eq!(find("insufficient_quota"), find("Throttling.AllocationQuota"));
        assert_eq!(find("InvalidParameter").unwrap().compatible, "invalid_parameter_error");
        assert_eq!(find("1305"), None);
    }
}
