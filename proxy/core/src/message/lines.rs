//! Field lines, written out. Those that stand in a received head just as they would be written are copied from there, and those of
//! them that stand one behind another in one piece: most of a head is passed on like that.

use std::ops::Range;

use super::Field;

/// Writes lines in the order in which they are pushed; the last ones only at [`Lines::end`].
#[derive(Debug)]
pub struct Lines<'o, 's> {
    out: &'o mut Vec<u8>,
    source: &'s [u8],
    /// Of the source: lines that are still to be copied.
    run: Range<usize>,
}

impl<'o, 's> Lines<'o, 's> {
    /// `source` is the head that most fields lie in, or empty.
    pub fn new(out: &'o mut Vec<u8>, source: &'s [u8]) -> Self {
        Self {
            out,
            source,
            run: 0..0,
        }
    }

    /// One line more.
    #[inline]
    pub fn push(&mut self, field: &Field<'_>) {
        match self.place(field) {
            Some(line) if line.start == self.run.end => self.run.end = line.end,
            Some(line) => {
                self.flush();
                self.run = line;
            }
            None => {
                self.flush();
                push_field(self.out, field.name, field.value);
            }
        }
    }

    /// Where the source has `name: value` and the line's end, if the field lies in it like that. Addresses are compared, so that a
    /// field of any other bytes is never taken for one of these.
    #[inline]
    fn place(&self, field: &Field<'_>) -> Option<Range<usize>> {
        let Field { name, value, .. } = field;
        let base = self.source.as_ptr().addr();
        let start = name.as_ptr().addr().checked_sub(base)?;
        let end = start.checked_add(name.len() + value.len() + 4)?;
        let (_, rest) = self.source.get(start..end)?.split_at_checked(name.len())?;
        let at_home = value.as_ptr().addr() == base.wrapping_add(end - 2 - value.len());
        let is_line = rest.starts_with(b": ") && rest.ends_with(b"\r\n");
        (is_line && (at_home || value.is_empty())).then_some(start..end)
    }

    fn flush(&mut self) {
        let run = std::mem::take(&mut self.run);
        if let Some(lines) = self.source.get(run) {
            self.out.extend_from_slice(lines);
        }
    }

    /// For what is no field; it comes behind all lines so far.
    pub fn out(&mut self) -> &mut Vec<u8> {
        self.flush();
        self.out
    }

    /// Writes what is still to be copied.
    pub fn end(mut self) {
        self.flush();
    }
}

/// One field line.
#[inline]
pub fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    for part in [name, b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::{Field, Lines};

    /// Each line of a head, as a parser gives it.
    fn fields(head: &[u8]) -> Vec<Field<'_>> {
        let lines = head
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        lines
            .map(|line| {
                let colon = line.iter().position(|byte| *byte == b':').unwrap();
                Field::new(&line[..colon], line[colon + 1..].trim_ascii())
            })
            .collect()
    }

    fn written(source: &[u8], fields: &[Field<'_>]) -> String {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out, source);
        for field in fields {
            lines.push(field);
        }
        lines.end();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_the_same_whether_they_are_copied_or_made() {
        let head = b"A: 1\r\nB:2\r\nC:  3\r\nD: 4 \r\nE: \r\nF:\r\nG: 7\nH: 8\r\nI: 9\r\n";
        let all = fields(head);
        let whole = "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: \r\nF: \r\nG: 7\r\nH: 8\r\nI: 9\r\n";
        assert_eq!(written(head, &all), whole);
        assert_eq!(written(b"", &all), whole);
        // Part of the source only, as where the head ends before the bytes do.
        assert_eq!(written(&head[..20], &all), whole);
        assert_eq!(written(&head[20..], &all), whole);
    }

    #[test]
    fn what_is_left_out_moved_or_foreign_is_written_as_it_is() {
        let head = b"A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n";
        let all = fields(head);
        let some = [all[0], all[2], all[1], all[3], all[3]];
        assert_eq!(
            written(head, &some),
            "A: 1\r\nC: 3\r\nB: 2\r\nD: 4\r\nD: 4\r\n"
        );
        let other = b"A: x\r\nB: y\r\n".to_vec();
        let foreign = fields(&other);
        let mixed = [all[0], foreign[1], all[1]];
        assert_eq!(written(head, &mixed), "A: 1\r\nB: y\r\nB: 2\r\n");
        // A name from here with a value from elsewhere is no line of this head.
        let crossed = Field::new(all[0].name, foreign[0].value);
        assert_eq!(written(head, &[crossed, all[1]]), "A: x\r\nB: 2\r\n");
    }
}
