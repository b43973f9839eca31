//! Error codes of the vendors: the HTTP status each comes with, and what it says.

pub(crate) mod dashscope;
pub(crate) mod qianfan;
pub(crate) mod zhipu;

/// The status of a code of any vendor.
pub(crate) fn status_of(code: &str) -> Option<u16> {
    zhipu::Code::find(code)
        .map(|row| row.status)
        .or_else(|| dashscope::find(code).map(|row| row.status))
        .or_else(|| qianfan::find(code).map(|row| row.status))
}

/// The English text of a code of any vendor.
pub(crate) fn text_of(code: &str) -> Option<String> {
    zhipu::Code::find(code)
        .map(|row| row.text(true))
        .or_else(|| dashscope::find(code).map(|row| row.text.to_owned()))
        .or_else(|| qianfan::find(code).map(|row| row.text.to_owned()))
}
