//! The interfaces of the vendors. They do not know each other; what they share is in the files of this folder.

pub(crate) mod dashscope;
pub(crate) mod gateway;
mod links;
mod media_rules;
mod model_list;
mod parsed_request;
pub(crate) mod qianfan;
pub(crate) mod zhipu;
