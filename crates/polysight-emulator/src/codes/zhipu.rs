//! Zhipu's business codes: the HTTP status each comes with, and what it says.
//!
//! Where the vendor's own words are known from published recordings they are used; elsewhere the wording is ours and only
//! the code is to be relied on. Codes that stand only in older tables of the vendor are here too, because
//! clients still handle them; the status of those is a guess.

use crate::clock;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Code {
    pub(crate) code: &'static str,
    pub(crate) status: u16,
    pub(crate) chinese: &'static str,
    pub(crate) english: &'static str,
}

const fn row(code: &'static str, status: u16, chinese: &'static str, english: &'static str) -> Code {
    Code { code, status, chinese, english }
}

/// `{reset}` in a text becomes a time one hour ahead.
#[rustfmt::skip] // one row a line
const CODES: &[Code] = &[
    row("500", 500, "内部错误，请稍后重试。", "Internal error, please try again later."),
    row("1000", 401, "身份验证失败。", "Authentication failed."),
    row("1001", 401, "请求头中没有 Authorization，无法验证身份。", "No Authorization header was received."),
    row("1002", 401, "Authorization 的格式不正确。", "The Authorization token is malformed."),
    row("1003", 401, "Authorization 已过期，请重新生成。", "The Authorization token has expired."),
    row("1004", 401, "Authorization 未通过验证。", "The Authorization token failed verification."),
    row("1005", 401, "该账户已开启二次验证。", "Second-factor protection is on for this account."),
    row("1100", 401, "账户读写异常。", "The account cannot be read or written."),
    row("1110", 429, "账户未激活。", "The account is inactive."),
    row("1111", 429, "账户不存在。", "The account does not exist."),
    row("1112", 429, "账户已被锁定。", "The account is locked."),
    row("1113", 429, "余额不足或无可用资源包,请充值。", "Insufficient balance or no resource package. Please recharge."),
    row("1120", 429, "暂时无法访问账户，请稍后重试。", "The account cannot be reached right now."),
    row("1121", 429, "账户因违规已被封禁。", "The account is banned for violations."),
    row("1200", 500, "接口调用失败。", "The API call failed."),
    row("1210", 400, "API 调用参数有误，请检查文档。", "Invalid API parameter, please check the documentation."),
    row("1211", 400, "模型不存在，请检查模型代码。", "The model does not exist, please check the model code."),
    row("1212", 400, "该模型不支持这种调用方式。", "The model does not support this way of calling."),
    row("1213", 400, "缺少必填参数。", "A required parameter was not received."),
    row("1214", 400, "参数非法。请检查文档。", "A parameter is invalid, please check the documentation."),
    row("1215", 400, "所给的两个参数不能同时使用。", "Two of the parameters exclude each other."),
    row("1220", 403, "您无权访问该接口。", "You have no permission for this API."),
    row("1221", 400, "该接口已下线。", "This API has been retired."),
    row("1222", 400, "该接口不存在。", "This API does not exist."),
    row("1230", 500, "接口处理出错。", "The API call could not be processed."),
    row("1231", 400, "相同 request_id 的请求正在处理。", "A request with this request_id is already running."),
    row("1232", 400, "请求无法完成。", "The request could not be completed."),
    row("1233", 400, "任务不存在。", "The task does not exist."),
    row("1234", 500, "网络错误，请稍后重试。", "Network error, please try again later."),
    row("1261", 400, "Prompt 超长。", "Prompt exceeds max length"),
    row("1300", 400, "请求因平台策略被阻止。", "The request was blocked by policy."),
    row("1301", 400, "输入或生成的内容可能不安全，请更换内容后重试。", "Input or output may be unsafe, please change it."),
    row("1302", 429, "您的账户已达到速率限制，请您控制请求频率", "Rate limit reached for requests, please slow down"),
    row("1303", 429, "调用频率过高，请稍后重试。", "Requests come too often, please try again later."),
    row("1304", 429, "已达到今日调用次数上限。", "Today's limit of calls has been reached."),
    row("1305", 429, "该模型当前访问量过大，请您稍后再试", "The model is overloaded right now, please try again later"),
    row("1308", 429, "已达到使用上限，将在 {reset} 重置。", "Usage limit reached, it will reset at {reset}."),
    row("1309", 429, "您的套餐已到期。", "Your plan has expired."),
    row("1310", 429, "已达到每周或每月上限，将在 {reset} 重置。", "Weekly or monthly limit reached, resets at {reset}."),
    row("1311", 429, "您的套餐不包含该模型。", "Your plan does not include this model."),
    row("1312", 429, "该模型繁忙，请改用其他模型。", "The model is busy, please use another one."),
    row("1313", 429, "使用方式不符合公平使用原则，已被限速。", "Throttled under the fair-use policy."),
    row("1314", 429, "企业套餐无效。", "The enterprise plan is not valid."),
    row("1315", 429, "该密钥仅可用于企业套餐。", "This key is for the enterprise plan only."),
    row("1316", 429, "5 小时用量已达上限且余额不足，{reset} 重置。", "5-hour window used up and no balance, resets at {reset}."),
    row("1317", 429, "7 天用量已达上限且余额不足，{reset} 重置。", "7-day window used up and no balance, resets at {reset}."),
    row("1318", 429, "子账户 5 小时用量已达上限，{reset} 重置。", "Sub-account 5-hour window used up, resets at {reset}."),
    row("1319", 429, "子账户 7 天用量已达上限，{reset} 重置。", "Sub-account 7-day window used up, resets at {reset}."),
    row("1320", 429, "企业用量已达上限，{reset} 重置。", "The company's cap has been reached, resets at {reset}."),
    row("1321", 429, "企业余额不足。", "The company's balance is used up."),
];

impl Code {
    /// The row of a code.
    pub(crate) fn find(code: &str) -> Option<Self> {
        CODES.iter().find(|row| row.code == code).copied()
    }

    pub(crate) fn text(&self, english: bool) -> String {
        let text = if english { self.english } else { self.chinese };
        if text.contains("{reset}") { text.replace("{reset}", &reset_time()) } else { text.to_owned() }
    }
}

/// One hour ahead, Beijing time, in the form `2026-11-22 08:00:00`.
fn reset_time() -> String {
    let stamp = clock::beijing_stamp(clock::since_epoch().as_secs() + 3600);
    let part = |from: usize, to: usize| stamp.get(from..to).unwrap_or_default();
    format!("{}-{}-{} {}:{}:{}", part(0, 4), part(4, 6), part(6, 8), part(8, 10), part(10, 12), part(12, 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_stands_twice_and_none_lacks_a_text() {
        for (index, row) in CODES.iter().enumerate() {
            assert!(!row.chinese.is_empty() && !row.english.is_empty(), "{}", row.code);
            assert!(CODES.iter().skip(index + 1).all(|other| other.code != row.code), "{}", row.code);
        }
    }

    #[test]
    fn quota_texts_name_the_time_of_reset() {
        let text = Code::find("1308").unwrap().text(true);
        assert!(!text.contains('{') && text.matches(':').count() == 2, "{text}");
    }
}
