//! The syntax tree walk: which paths a template refers to. The only file that names the crate's unstable
//! machinery.
//!
//! `undeclared_variables` of the crate stops at the first index (`steps["wait-ready"].outputs.x` gives only
//! `steps`), and `steps.wait-ready` parses as a subtraction: hence our own walk.

use std::ops::Range;

use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, Spanned, Stmt};
use minijinja::machinery::{self, Span, Token};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;

use super::engine::explain;
use super::{Analysis, Piece, Reference, Shape, TemplateError, names};

/// The tree of a longer expression could overflow the stack of those who walk it.
const TOKENS_PER_EXPRESSION: usize = 400;
const TOKENS_PER_TEMPLATE: usize = 4_000;

pub(super) fn config() -> SyntaxConfig {
    // Only whitespace is configured, so the builder has nothing to refuse.
    SyntaxConfig::builder().keep_trailing_newline(true).build().unwrap_or_default()
}

pub(super) fn analyse(text: &str) -> Result<Analysis, TemplateError> {
    if !["{{", "{%", "{#"].iter().any(|open| text.contains(open)) {
        return Ok(Analysis { shape: Shape::Text, references: Vec::new() });
    }
    check_size(text, Start::Text)?;
    let root = machinery::parse(text, "<template>", config()).map_err(|error| explain(&error, text, 0))?;
    let Stmt::Template(template) = root else {
        return Err(TemplateError::new("this is no template", 0..text.len()));
    };
    let mut walk = Walk { references: Vec::new(), scopes: vec![Vec::new()] };
    walk.body(&template.children).map_err(|error| error.clamped(text))?;
    let shape = match template.children.as_slice() {
        [Stmt::EmitExpr(emit)] => Shape::Expression(range(emit.span())),
        children => Shape::Mixed { pieces: children.iter().map(piece).collect() },
    };
    Ok(Analysis { shape, references: walk.references })
}

pub(super) fn analyse_expression(text: &str) -> Result<Analysis, TemplateError> {
    check_size(text, Start::Expression)?;
    let expression = machinery::parse_expr(text).map_err(|error| explain(&error, text, 0))?;
    let mut walk = Walk { references: Vec::new(), scopes: vec![Vec::new()] };
    walk.expr(&expression).map_err(|error| error.clamped(text))?;
    Ok(Analysis { shape: Shape::Expression(0..text.len()), references: walk.references })
}

fn piece(statement: &Stmt<'_>) -> Option<Piece> {
    match statement {
        Stmt::EmitRaw(raw) => Some(Piece::Raw(raw.raw.to_owned())),
        Stmt::EmitExpr(emit) => Some(Piece::Emit(range(emit.span()))),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Start {
    Text,
    Expression,
}

fn check_size(text: &str, start: Start) -> Result<(), TemplateError> {
    let (mut total, mut inside) = (0, 0);
    for token in machinery::tokenize(text, start == Start::Expression, config()) {
        // The parser reports a bad token with its place.
        let Ok((token, span)) = token else { return Ok(()) };
        match token {
            Token::TemplateData(_) => continue,
            Token::VariableStart | Token::BlockStart => inside = 0,
            _ => inside += 1,
        }
        total += 1;
        if inside > TOKENS_PER_EXPRESSION || total > TOKENS_PER_TEMPLATE {
            return Err(TemplateError::new("the template is too long to be understood", range(span))
                .help("compute it in a step, or split it into several parameters")
                .clamped(text));
        }
    }
    Ok(())
}

fn range(span: Span) -> Range<usize> {
    span.start_offset as usize..span.end_offset as usize
}

struct Walk<'a> {
    references: Vec<Reference>,
    /// Names the template defines itself, innermost scope last.
    scopes: Vec<Vec<&'a str>>,
}

impl<'a> Walk<'a> {
    fn body(&mut self, statements: &[Stmt<'a>]) -> Result<(), TemplateError> {
        statements.iter().try_for_each(|statement| self.statement(statement))
    }

    fn scoped(&mut self, body: &[Stmt<'a>]) -> Result<(), TemplateError> {
        self.scopes.push(Vec::new());
        let result = self.body(body);
        self.scopes.pop();
        result
    }

    fn define(&mut self, target: &Expr<'a>) {
        let items = match target {
            Expr::Var(name) => {
                if let Some(scope) = self.scopes.last_mut() {
                    scope.push(name.id);
                }
                return;
            }
            Expr::List(list) => &list.items,
            Expr::Tuple(tuple) => &tuple.items,
            // `{% set ns.found = true %}` changes a namespace that is already defined.
            _ => return,
        };
        for item in items {
            self.define(item);
        }
    }

    fn defines(&self, name: &str) -> bool {
        self.scopes.iter().any(|scope| scope.contains(&name))
    }

    fn statement(&mut self, statement: &Stmt<'a>) -> Result<(), TemplateError> {
        match statement {
            Stmt::Template(template) => self.body(&template.children),
            Stmt::EmitExpr(emit) => self.expr(&emit.expr),
            Stmt::EmitRaw(_) => Ok(()),
            Stmt::ForLoop(each) => {
                self.expr(&each.iter)?;
                self.scopes.push(vec!["loop"]);
                self.define(&each.target);
                let inner = each.filter_expr.iter().try_for_each(|filter| self.expr(filter));
                let inner = inner.and_then(|()| self.body(&each.body));
                self.scopes.pop();
                inner.and_then(|()| self.scoped(&each.else_body))
            }
            Stmt::IfCond(branch) => {
                self.expr(&branch.expr)?;
                self.body(&branch.true_body)?;
                self.body(&branch.false_body)
            }
            Stmt::WithBlock(with) => {
                self.scopes.push(Vec::new());
                let inner = with.assignments.iter().try_for_each(|(target, value)| {
                    self.expr(value)?;
                    self.define(target);
                    Ok(())
                });
                let inner = inner.and_then(|()| self.body(&with.body));
                self.scopes.pop();
                inner
            }
            Stmt::Set(set) => {
                self.expr(&set.expr)?;
                self.define(&set.target);
                Ok(())
            }
            Stmt::SetBlock(set) => {
                set.filter.iter().try_for_each(|filter| self.expr(filter))?;
                self.scoped(&set.body)?;
                self.define(&set.target);
                Ok(())
            }
            Stmt::FilterBlock(block) => {
                self.expr(&block.filter)?;
                self.scoped(&block.body)
            }
            Stmt::AutoEscape(tag) => Err(refused("autoescape", tag.span())),
            Stmt::Block(tag) => Err(refused("block", tag.span())),
            Stmt::Import(tag) => Err(refused("import", tag.span())),
            Stmt::FromImport(tag) => Err(refused("from", tag.span())),
            Stmt::Extends(tag) => Err(refused("extends", tag.span())),
            Stmt::Include(tag) => Err(refused("include", tag.span())),
            Stmt::Macro(tag) => Err(refused("macro", tag.span())),
            Stmt::CallBlock(tag) => Err(refused("call", tag.span())),
            Stmt::Do(tag) => Err(refused("do", tag.span())),
        }
    }

    fn exprs<'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr<'a>>) -> Result<(), TemplateError>
    where
        'a: 'e,
    {
        exprs.into_iter().try_for_each(|expr| self.expr(expr))
    }

    fn expr(&mut self, expr: &Expr<'a>) -> Result<(), TemplateError> {
        match expr {
            Expr::Const(_) => Ok(()),
            Expr::Var(_) | Expr::GetAttr(_) | Expr::GetItem(_) => self.path(expr),
            Expr::Slice(slice) => {
                self.expr(&slice.expr)?;
                self.exprs(slice.start.iter().chain(&slice.stop).chain(&slice.step))
            }
            Expr::UnaryOp(op) => self.expr(&op.expr),
            Expr::BinOp(op) => {
                if matches!(op.op, BinOpKind::Sub) {
                    self.refuse_subtraction(expr)?;
                }
                self.exprs([&op.left, &op.right])
            }
            Expr::Compare(compare) => {
                self.expr(&compare.expr)?;
                self.exprs(compare.ops.iter().map(|op| &op.expr))
            }
            Expr::IfExpr(branch) => {
                self.exprs([&branch.true_expr, &branch.test_expr].into_iter().chain(&branch.false_expr))
            }
            Expr::Filter(filter) => {
                names::filter(filter.name, range(filter.span()))?;
                let first = self.references.len();
                self.exprs(&filter.expr)?;
                if matches!(filter.name, "default" | "d") {
                    self.guard(first);
                }
                self.arguments(&filter.args)
            }
            Expr::Test(test) => {
                names::test(test.name, range(test.span()))?;
                let first = self.references.len();
                self.expr(&test.expr)?;
                if matches!(test.name, "defined" | "undefined") {
                    self.guard(first);
                }
                self.arguments(&test.args)
            }
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.exprs(&list.items),
            Expr::Tuple(tuple) => self.exprs(&tuple.items),
            Expr::Map(map) => self.exprs(map.keys.iter().chain(&map.values)),
        }
    }

    fn guard(&mut self, first: usize) {
        for reference in &mut self.references[first..] {
            reference.guarded = true;
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'a>]) -> Result<(), TemplateError> {
        self.exprs(arguments.iter().map(|argument| match argument {
            CallArg::Pos(expr)
            | CallArg::Kwarg(_, expr)
            | CallArg::PosSplat(expr)
            | CallArg::KwargSplat(expr) => expr,
        }))
    }

    fn call(&mut self, call: &Spanned<Call<'a>>) -> Result<(), TemplateError> {
        self.arguments(&call.args)?;
        match &call.expr {
            Expr::Var(name) if self.defines(name.id) => Ok(()),
            Expr::Var(name) => names::function(name.id, range(name.span())),
            Expr::GetAttr(method) if matches!(&method.expr, Expr::Var(v) if v.id == "loop") => Ok(()),
            _ => Err(TemplateError::new("values have no methods", range(call.span()))
                .help("use a filter: `{{ values.name | upper }}`")),
        }
    }

    /// Records the longest constant path of a chain of attributes and items, and walks its dynamic parts.
    fn path(&mut self, expr: &Expr<'a>) -> Result<(), TemplateError> {
        let mut links = Vec::new();
        let mut inner = expr;
        loop {
            match inner {
                Expr::GetAttr(attribute) => {
                    links.push((Link::Name(attribute.name.to_owned()), end(attribute.span())));
                    inner = &attribute.expr;
                }
                Expr::GetItem(item) => {
                    links.push((link(&item.subscript_expr), end(item.span())));
                    if !matches!(item.subscript_expr, Expr::Const(_)) {
                        self.expr(&item.subscript_expr)?;
                    }
                    inner = &item.expr;
                }
                _ => break,
            }
        }
        let Expr::Var(root) = inner else { return self.expr(inner) };
        if self.defines(root.id) || names::is_function(root.id) {
            return Ok(());
        }
        let start = root.span().start_offset as usize;
        let (mut path, mut stop) = (vec![root.id.to_owned()], end(root.span()));
        for (link, link_end) in links.into_iter().rev() {
            match link {
                Link::Name(name) => path.push(name),
                Link::Dynamic => break,
            }
            stop = link_end;
        }
        if path == ["steps"] {
            return Err(TemplateError::new("a step must be named, not computed", start..end(expr.span()))
                .help("write steps.NAME.outputs.FIELD, or steps[\"NAME\"].outputs.FIELD"));
        }
        self.references.push(Reference { path, range: start..stop, guarded: false });
        Ok(())
    }

    /// `steps.wait-ready` is `steps.wait` minus `ready`; a step is never a number, so it is always a slip.
    fn refuse_subtraction(&self, expr: &Expr<'a>) -> Result<(), TemplateError> {
        let mut parts = Vec::new();
        let mut inner = expr;
        while let Expr::BinOp(op) = inner
            && matches!(op.op, BinOpKind::Sub)
        {
            parts.push(first_word(&op.right));
            inner = &op.left;
        }
        let Expr::GetAttr(step) = inner else { return Ok(()) };
        if self.defines("steps") || !matches!(&step.expr, Expr::Var(root) if root.id == "steps") {
            return Ok(());
        }
        let written = parts.iter().rev().fold(step.name.to_owned(), |name, part| format!("{name}-{part}"));
        let place = step.span().start_offset as usize..end(expr.span());
        let name = written.replace('-', "_");
        Err(TemplateError::new(format!("`steps.{written}` is a subtraction"), place)
            .help(format!("write steps.{name}")))
    }
}

enum Link {
    Name(String),
    Dynamic,
}

fn link(subscript: &Expr<'_>) -> Link {
    let Expr::Const(constant) = subscript else { return Link::Dynamic };
    match constant.value.kind() {
        ValueKind::String => Link::Name(constant.value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Number if constant.value.is_integer() => Link::Name(constant.value.to_string()),
        _ => Link::Dynamic,
    }
}

fn first_word(expr: &Expr<'_>) -> String {
    match expr {
        Expr::GetAttr(attribute) => first_word(&attribute.expr),
        Expr::GetItem(item) => first_word(&item.expr),
        Expr::Var(name) => name.id.to_owned(),
        Expr::Const(constant) => constant.value.to_string(),
        _ => "…".to_owned(),
    }
}

fn end(span: Span) -> usize {
    span.end_offset as usize
}

fn refused(tag: &str, span: Span) -> TemplateError {
    TemplateError::new(format!("`{{% {tag} %}}` is not for runbooks"), range(span))
        .help("templates here have expressions, `if`, `for`, `set`, `with` and `filter`")
}
