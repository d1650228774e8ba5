//! What a sequence is made of, out of a seed.

use super::tricks::Trick;
use super::wire::Proof;

/// A small generator of numbers that a seed repeats (splitmix64).
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(super) fn one<T: Copy>(&mut self, of: &[T], first: T) -> T {
        let count = u64::try_from(of.len()).unwrap_or(1).max(1);
        let place = usize::try_from(self.next() % count).unwrap_or_default();
        of.get(place).copied().unwrap_or(first)
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Whatever an honest client would do next.
    Onward,
    Exams,
    View,
    Items,
    Item,
    Picture,
    ReadBack,
    Photo,
    CheckIn,
    Consent,
    Check,
    Identity,
    Instruction,
    Start,
    Responses,
    Submit,
    Message,
    Hand,
    Events,
    Enrol,
    Link(Trick),
    Silence,
    Sound,
    OddMethod,
}

/// Whose attempt is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Own,
    Bystanders,
    Nobodys,
    NoIdentifier,
}

/// Whose token is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Own,
    Agents,
    Garbage,
    Long,
}

/// What the body is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Good,
    /// The right form with the worst values.
    Wild,
    Empty,
    Truncated,
    OtherType,
    Deep,
    Large,
}

/// One request of a sequence.
#[derive(Debug, Clone, Copy)]
pub(super) struct Op {
    pub(super) what: What,
    pub(super) whose: Whose,
    pub(super) token: Token,
    pub(super) proof: Proof,
    pub(super) shape: Shape,
    pub(super) wild: u64,
}

impl Op {
    /// Tells whether nothing of it may be granted, whoever asks.
    pub(super) fn is_forbidden(self) -> bool {
        self.token != Token::Own
            || self.proof != Proof::Good
            || (self.whose != Whose::Own && self.what != What::Exams)
            || self.what == What::OddMethod
    }

    pub(super) fn is_unreadable(self) -> bool {
        match self.shape {
            Shape::Good | Shape::Wild => false,
            Shape::Empty | Shape::Truncated | Shape::OtherType | Shape::Deep | Shape::Large => true,
        }
    }
}

/// Makes a sequence; the same seed and number make the same one.
pub(super) fn sequence(seed: u64, number: u64) -> Vec<Op> {
    let mut random = Random(seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let len = 3 + random.next() % 8;
    (0..len).map(|_| op(&mut random)).collect()
}

fn op(random: &mut Random) -> Op {
    let what = match random.next() % 100 {
        0..25 => What::Onward,
        25..28 => What::Link(random.one(&QUICK_TRICKS, Trick::OldNonce)),
        _ => random.one(&ASKED, What::View),
    };
    // A third of the requests lies in nothing but their place in the order.
    let honest = random.next().is_multiple_of(3);
    let mut odd = |most: u64| !honest && random.next() % 100 < most;
    let (whose, token, proof, shape) = (odd(20), odd(15), odd(25), odd(50));
    let others = [Whose::Bystanders, Whose::Nobodys, Whose::NoIdentifier];
    let tokens = [Token::Agents, Token::Garbage, Token::Long];
    let shapes = [
        Shape::Wild,
        Shape::Wild,
        Shape::Wild,
        Shape::Empty,
        Shape::Truncated,
        Shape::OtherType,
        Shape::Deep,
        Shape::Large,
    ];
    Op {
        what,
        whose: if whose {
            random.one(&others, Whose::Nobodys)
        } else {
            Whose::Own
        },
        token: if token {
            random.one(&tokens, Token::Garbage)
        } else {
            Token::Own
        },
        proof: if proof {
            random.one(&Proof::WRONG, Proof::Absent)
        } else {
            Proof::Good
        },
        shape: if shape {
            random.one(&shapes, Shape::Wild)
        } else {
            Shape::Good
        },
        wild: random.next(),
    }
}

const ASKED: [What; 25] = [
    What::Exams,
    What::View,
    What::View,
    What::Items,
    What::Item,
    What::Item,
    What::Picture,
    What::ReadBack,
    What::Photo,
    What::CheckIn,
    What::Consent,
    What::Check,
    What::Silence,
    What::Sound,
    What::Identity,
    What::Instruction,
    What::Start,
    What::Responses,
    What::Responses,
    What::Submit,
    What::Message,
    What::Hand,
    What::Events,
    What::Enrol,
    What::OddMethod,
];
/// Tricks that the server ends at once.
const QUICK_TRICKS: [Trick; 6] = [
    Trick::OldNonce,
    Trick::OtherKey,
    Trick::OtherEpoch,
    Trick::Version,
    Trick::Garbage,
    Trick::Text,
];
