//! What begins with a parenthesis: groups, looks, conditions, flags, references.
//!
//! May see: a pattern. Must not see: values.

use super::{Flags, Item, Parsed, Reader};

impl Reader {
    pub(super) fn group(&mut self, flags: &mut Flags, depth: u32, first: bool) -> Parsed<Item> {
        if !self.eat('?') {
            return self.capture(*flags, depth);
        }
        match self.next().ok_or("unexpected end of pattern")? {
            'P' => match self.next() {
                Some('<') => {
                    let name = self.until('>')?;
                    if !is_name(&name) || self.names.insert(name, self.groups + 1).is_some() {
                        return Err("bad or repeated group name".into());
                    }
                    return self.capture(*flags, depth);
                }
                Some('=') => {
                    let name = self.until(')')?;
                    let group = *self.names.get(&name).ok_or("unknown group name")?;
                    self.back_reference(group)?;
                }
                _ => return Err("unknown extension".into()),
            },
            ':' => self.enclosed("(?:", *flags, depth)?,
            '>' => self.enclosed("(?>", *flags, depth)?,
            '=' => return self.look("(?=", *flags, depth),
            '!' => return self.look("(?!", *flags, depth),
            '<' if self.eat('=') => return self.look("(?<=", *flags, depth),
            '<' if self.eat('!') => return self.look("(?<!", *flags, depth),
            '#' => {
                self.until(')')?;
                return Ok(Item::Nothing);
            }
            '(' => self.condition(*flags, depth)?,
            letter => return self.flag_group(letter, flags, depth, first),
        }
        Ok(Item::Atom)
    }

    fn capture(&mut self, flags: Flags, depth: u32) -> Parsed<Item> {
        self.groups += 1;
        self.open.push(self.groups);
        self.enclosed("(", flags, depth)?;
        self.open.pop();
        Ok(Item::Atom)
    }

    fn enclosed(&mut self, opening: &str, flags: Flags, depth: u32) -> Parsed<()> {
        self.out.push_str(opening);
        self.alternatives(flags, depth + 1)?;
        self.expect(')')?;
        self.out.push(')');
        Ok(())
    }

    fn look(&mut self, opening: &str, flags: Flags, depth: u32) -> Parsed<Item> {
        self.enclosed(opening, flags, depth)?;
        Ok(Item::Look)
    }

    fn condition(&mut self, flags: Flags, depth: u32) -> Parsed<()> {
        let name = self.until(')')?;
        let group = match name.parse::<usize>() {
            Ok(group) => group,
            Err(_) => *self.names.get(&name).ok_or("unknown group name")?,
        };
        if group == 0 {
            return Err("bad group number".into());
        }
        self.conditions.push(group);
        let start = self.out.len();
        self.enclosed(&format!("(?({group})"), flags, depth)?;
        // One bar is the alternative; a second is refused, as a bar inside a group is written there.
        if top_level_bars(&self.out[start..]) > 1 {
            return Err("conditional backref with more than two branches".into());
        }
        Ok(())
    }

    /// `(?flags)` at the start, `(?flags-flags:...)` anywhere.
    fn flag_group(&mut self, letter: char, flags: &mut Flags, depth: u32, first: bool) -> Parsed<Item> {
        let (mut inner, mut on, mut off, mut removing) = (*flags, String::new(), String::new(), false);
        let (mut next, mut seen) = (Some(letter), Vec::new());
        loop {
            let letter = next.ok_or("missing -, : or )")?;
            let clash = if removing {
                letter
            } else if letter == 'a' {
                'u'
            } else {
                'a'
            };
            if (removing || matches!(letter, 'a' | 'u')) && seen.contains(&clash) {
                return Err("flags that exclude each other".into());
            }
            if !removing {
                seen.push(letter);
            }
            match letter {
                '-' if !removing => removing = true,
                'i' if removing => off.push('i'),
                'i' => on.push('i'),
                'm' => inner.multiline = !removing,
                's' => inner.dot_all = !removing,
                'x' => inner.verbose = !removing,
                'a' if !removing => inner.ascii = true,
                'u' if !removing => inner.ascii = false,
                ')' if !removing => {
                    if !first {
                        return Err("global flags not at the start of the expression".into());
                    }
                    self.ignore_case |= !on.is_empty();
                    *flags = inner;
                    return Ok(Item::Nothing);
                }
                // A minus must remove something.
                ':' if self.letters.get(self.at.wrapping_sub(2)) != Some(&'-') => break,
                _ => return Err("unknown flag".into()),
            }
            next = self.next();
        }
        let off = if off.is_empty() { String::new() } else { format!("-{off}") };
        self.enclosed(&format!("(?{on}{off}:"), inner, depth)?;
        Ok(Item::Atom)
    }

    pub(super) fn back_reference(&mut self, group: usize) -> Parsed<()> {
        if group == 0 || group > self.groups {
            return Err("invalid group reference".into());
        }
        if self.open.contains(&group) {
            return Err("cannot refer to an open group".into());
        }
        self.out.push_str(&format!("(?:\\{group})"));
        Ok(())
    }
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && letters.all(|c| c.is_alphanumeric() || c == '_')
}

/// Bars directly inside the outermost group of what this module has written.
fn top_level_bars(written: &str) -> usize {
    // The condition's own parentheses close again, so its branches stand at depth one.
    let (mut depth, mut in_set, mut bars, mut escaped) = (0i32, 0i32, 0, false);
    for letter in written.chars() {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_set += 1,
            ']' => in_set -= 1,
            '(' if in_set == 0 => depth += 1,
            ')' if in_set == 0 => depth -= 1,
            '|' if in_set == 0 && depth == 1 => bars += 1,
            _ => {}
        }
    }
    bars
}
