//! The interfaces that are served.

/// One of the interfaces that the emulator serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Surface {
    /// Zhipu's own, `/api/paas/v4`.
    Zhipu,
    /// Alibaba's OpenAI-compatible mode, `/compatible-mode/v1`.
    DashScopeCompatible,
    /// Alibaba's own, `/api/v1`.
    DashScopeNative,
    /// Baidu's, `/v2`.
    Qianfan,
    /// An OpenAI-compatible gateway to models of all three, `/v1`.
    Gateway,
    /// Where Baidu's short-lived keys come from. It has no prefix: its one path is `/v1/BCE-BEARER/token`.
    QianfanIam,
}

impl Surface {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::Zhipu,
        Self::DashScopeCompatible,
        Self::DashScopeNative,
        Self::Qianfan,
        Self::Gateway,
        Self::QianfanIam,
    ];

    /// What the paths of this interface begin with, without a slash at the end.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Zhipu => "/api/paas/v4",
            Self::DashScopeCompatible => "/compatible-mode/v1",
            Self::DashScopeNative => "/api/v1",
            Self::Qianfan => "/v2",
            Self::Gateway => "/v1",
            Self::QianfanIam => "",
        }
    }

    /// A short name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Zhipu => "zhipu",
            Self::DashScopeCompatible => "dashscope-compatible",
            Self::DashScopeNative => "dashscope-native",
            Self::Qianfan => "qianfan",
            Self::Gateway => "gateway",
            Self::QianfanIam => "qianfan-iam",
        }
    }
}
