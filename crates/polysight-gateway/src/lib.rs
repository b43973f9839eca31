//! An OpenAI-compatible server over a config file.
