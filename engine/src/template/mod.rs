//! minijinja, strict: which names a template refers to, and what it renders to.
