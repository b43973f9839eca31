//! Qianfan's error codes: the HTTP status and the type each comes with, and what it says.
//!
//! From the vendor's table, its spelling mistakes included. Where the table says only that the text is free, it is ours.

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Code {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) text: &'static str,
}

const INVALID: &str = "invalid_request_error";
const DENIED: &str = "access_denied";
const UNSAFE: &str = "unsafe_request";
const RATE: &str = "rate_limit_exceeded";
const INTERNAL: &str = "Internal_error";

const fn row(status: u16, code: &'static str, kind: &'static str, text: &'static str) -> Code {
    Code { status, code, kind, text }
}

const CODES: &[Code] = &[
    row(400, "malformed_json", INVALID, "Invalid Argument"),
    row(401, "invalid_model", INVALID, "The model does not exist or you do not have access to it."),
    row(400, "invalid_messages", INVALID, "The messages are invalid."),
    row(400, "characters_too_long", INVALID, "the max input characters is 516096"),
    row(400, "tokens_too_long", INVALID, "Prompt tokens too long"),
    row(400, "invalid_argument", INVALID, "An argument is invalid."),
    row(400, "invalid_image_url", INVALID, "The width or height of the image is not in the allowed range."),
    row(400, "invalid_plugin_argument", INVALID, "An argument of the plugin is invalid."),
    row(400, "invalid_image_genration_prompt", INVALID, "The prompt for the image is invalid."),
    row(400, "invalid_image_genration_refer_image", INVALID, "The reference image is invalid."),
    row(400, "image_url_unsafe", UNSAFE, "The content of the image is not allowed."),
    row(401, "no_parameter_permission", DENIED, "No permission to use the parameter."),
    row(401, "invalid_appid", INVALID, "No permission to use the appid"),
    row(401, "invalid_iam_token", INVALID, "IAM Certification failed"),
    row(403, "system_unsafe", UNSAFE, "The content of system is not allowed."),
    row(403, "user_setting_unsafe", UNSAFE, "The content of the user is not allowed."),
    row(403, "functions_unsafe", UNSAFE, "The content of functions is not allowed."),
    row(403, "account_overdue", DENIED, "The account is overdue."),
    row(403, "model_offline", DENIED, "The model is offline"),
    row(405, "method_not_supported", INVALID, "Only POST requests are accepted"),
    row(429, "rpm_rate_limit_exceeded", RATE, "Rate limit reached for RPM"),
    row(429, "tpm_rate_limit_exceeded", RATE, "Rate limit reached for TPM"),
    row(429, "input_tpm_rate_limit_exceeded", RATE, "Rate limit reached for Input TPM"),
    row(429, "output_tpm_rate_limit_exceeded", RATE, "Rate limit reached for Output TPM"),
    row(429, "Offline_batch_reasoning_refused", RATE, "Rate limit reached for offline batch"),
    row(429, "preemptible_rate_limit_exceeded", RATE, "Rate limit reached for preemptible resource"),
    row(429, "user_rate_limit_exceeded", RATE, "Rate limit reached for qps by APP ID"),
    row(429, "cluster_rate_limit_exceeded", RATE, "Rate limit reached for cluster"),
    row(429, "cluster_rpm_rate_limit_exceeded", RATE, "Rate limit reached for cluster RPM"),
    row(429, "cluster_tpm_rate_limit_exceeded", RATE, "Rate limit reached for cluster TPM"),
    row(500, "internal_error", INTERNAL, "Internal error"),
    row(500, "dispatch_internal_error", INTERNAL, "Internal error"),
    row(500, "image_genration_interal_error", INTERNAL, "Internal error"),
];

/// The row of a code.
pub(crate) fn find(code: &str) -> Option<Code> {
    CODES.iter().find(|row| row.code == code).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice() {
        for (index, row) in CODES.iter().enumerate() {
            assert!(CODES.iter().skip(index + 1).all(|other| other.code != row.code), "{}", row.code);
        }
    }
}
