"""Questions about boxes of enquiries, settled exactly: what do earlier rules leave of this one?

Most are settled by one look at all boxes at once. Whether several boxes together leave anything of
another is settled by cutting: whatever leaves only one way out takes it, else both sides of one
attribute are tried. That is exact, and may take exponential time where words are woven together
on purpose; a bound on the steps ends it, and then the answer is ``Unsettled``, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from directory.domain.rule_index import bits
from directory.domain.space import ABSENT, PRESENT, Box, Space, Unsettled

# Looks at one box while one question is settled, and in all.
STEPS_A_QUESTION: Final = 200_000
STEPS_IN_ALL: Final = 6_000_000

# The number of a box, and what it asks for that is not certain.
_Clause = tuple[int, list[tuple[int, int]]]


class Prover:
    """The boxes of a list of rules, ready for questions.

    Boxes are bits of one number, in the order of the rules: for each attribute and value it is
    kept which boxes allow it, so that one operation on a number of a kilobyte looks at ten
    thousand. ``rule_of[n]`` is the place (from 0) of the rule that box *n* is of, ``first[k]`` the
    first box of rule *k*; ``first`` has one more entry, the number of boxes.
    """

    def __init__(self, space: Space, rules: Sequence[Sequence[Box]]) -> None:
        self.space = space
        self.boxes: list[Box] = [box for several in rules for box in several]
        self.rule_of = [rule for rule, several in enumerate(rules) for _ in several]
        self.first = [0]
        for several in rules:
            self.first.append(self.first[-1] + len(several))
        self._steps = STEPS_IN_ALL
        self._counting = (1 << len(self.boxes)) - 1
        where: dict[tuple[int, int], list[int]] = {}
        asked: dict[int, list[int]] = {}
        worded: list[int] = []
        needing: list[int] = []
        forbidding: list[int] = []
        for number, box in enumerate(self.boxes):
            for place, mask in box.items():
                asked.setdefault(place, []).append(number)
                for bit in _places(mask):
                    where.setdefault((place, bit), []).append(number)
            words = [mask for place, mask in box.items() if place >= space.words_from]
            if words:
                worded.append(number)
            if PRESENT in words:
                needing.append(number)
            if ABSENT in words:
                forbidding.append(number)
        self._listed, self._asked = where, asked
        self._choices = [place for place in asked if place < space.words_from]
        self._worded, self._forbidding = _number(worded), _number(forbidding)
        self.needing = _number(needing)
        self._numbers: dict[Any, int] = {}

    # Boxes by what they allow, as numbers made when first asked for

    def _allowing(self, place: int, bit: int) -> int:
        """The boxes that ask for *place* and allow its value number *bit*."""
        found = self._numbers.get((place, bit))
        if found is None:
            found = self._numbers[place, bit] = _number(self._listed.get((place, bit), ()))
        return found

    def _asking(self, place: int) -> int:
        found = self._numbers.get(place)
        if found is None:
            found = self._numbers[place] = _number(self._asked.get(place, ()))
        return found

    def _combined(self, what: str, place: int, mask: int) -> int:
        """Of the boxes that ask for *place*: those that allow "any" or "every" value of *mask*,
        or any value "beyond" it.
        """
        found = self._numbers.get((what, place, mask))
        if found is not None:
            return found
        if what == "every":
            found = self._asking(place)
            for bit in _places(mask):
                found &= self._allowing(place, bit)
        else:
            found = 0
            for bit in _places(mask if what == "any" else self.space.full[place] & ~mask):
                found |= self._allowing(place, bit)
        self._numbers[what, place, mask] = found
        return found

    # Questions

    def leave_out(self, rule: int) -> None:
        """Let *rule*, which decides nothing, count as covering nothing either."""
        for number in range(self.first[rule], self.first[rule + 1]):
            self._counting &= ~(1 << number)

    def meeting(self, box: Box, upto: int) -> int:
        """Of the first *upto* boxes those that have an enquiry in common with *box* (closed)."""
        apart = 0
        for place, mask in box.items():
            if place in self._asked:
                apart |= self._asking(place) & ~self._combined("any", place, mask)
        return (1 << upto) - 1 & self._counting & ~apart

    def around(self, box: Box, upto: int, *, words: bool = True) -> int:
        """Of the first *upto* boxes those that hold all of *box*; without *words*, words aside."""
        found = (1 << upto) - 1 & self._counting
        for place in self._choices:
            if place in box:
                found &= ~self._asking(place) | self._combined("every", place, box[place])
            else:
                found &= ~self._asking(place)
        if not words or not found & self._worded:
            return found
        result = found & ~self._worded
        likely = 0
        for place, mask in box.items():
            if place >= self.space.words_from and place in self._asked:
                likely |= self._combined("any", place, mask)
        for number in bits(found & self._worded & likely):
            if _holds(self.boxes[number - 1], box, self.space.full):
                result |= 1 << number - 1
        return result

    def inside(self, box: Box, upto: int) -> int:
        """Of the first *upto* boxes those that lie within *box*, words aside."""
        found = (1 << upto) - 1 & self._counting
        for place, mask in box.items():
            if place < self.space.words_from:
                found &= self._asking(place) & ~self._combined("beyond", place, mask)
        return found

    def having(self, place: int, upto: int) -> int:
        """Of the first *upto* boxes those that need the word *place*."""
        return self._allowing(place, 1) & (1 << upto) - 1 & self._counting

    def needs_word(self, box: Box) -> bool:
        """Whether nothing is in *box* without some word."""
        return any(m == PRESENT for place, m in box.items() if place >= self.space.words_from)

    def left_of(self, box: Box, upto: int) -> Box | None:
        """A part of *box* that the first *upto* boxes leave; None where they cover it.

        None of them has an enquiry of that part whose text has no other words than those it needs.
        Raises Unsettled.
        """
        whole = self.space.closed(box)
        return None if whole is None else self._left_of(whole, upto)[0]

    def _left_of(self, box: Box, upto: int) -> tuple[Box | None, set[int]]:
        """What is left of *box* (closed), or None and the boxes that prove it."""
        if alone := self.around(box, upto):
            return None, set(bits(alone))
        met = self.meeting(box, upto)
        aside = 0
        if not met & self._forbidding:
            # Nobody minds a word that is absent: what needs one more is left that way.
            aside = met & self.needing
            having = 0
            for place, mask in box.items():
                if place >= self.space.words_from and mask == PRESENT:
                    having |= self._allowing(place, 1)
            for number in bits(aside & having):
                if self._word_lacking(number, box) is None:
                    aside &= ~(1 << number - 1)
        return self._search(box, bits(met & ~aside))

    def _word_lacking(self, number: int, box: Box) -> int | None:
        """A word that box *number* needs and not every text of *box* has."""
        for place, mask in self.boxes[number - 1].items():
            if place >= self.space.words_from and mask == PRESENT and box.get(place) != PRESENT:
                return place
        return None

    def settle(self, boxes: Sequence[Box], upto: int) -> Box | list[int]:
        """A part of *boxes* that none of the first *upto* boxes meets, or else whose doing it is.

        Those are the places of rules that together cover all of *boxes*, none of which can be
        spared; one rule alone where one is enough, none where nothing is in *boxes*. Raises
        Unsettled.
        """
        closed = [box for it in boxes if (box := self.space.closed(it)) is not None]
        proofs: list[set[int]] = []
        for box in closed:
            left, proof = self._left_of(box, upto)
            if left is not None:
                return left
            proofs.append(proof)
        alone: set[int] | None = None
        for box in closed:
            rules = {self.rule_of[n - 1] for n in bits(self.around(box, upto))}
            alone = rules if alone is None else alone & rules
            if not alone:
                break
        if alone:
            return [min(alone)]
        # Of boxes that each hold all of one, the first is enough.
        needed = {
            number
            for box, proof in zip(closed, proofs, strict=True)
            for number in ({min(proof)} if self._is_alone(min(proof), box) else proof)
        }
        rules = {self.rule_of[number - 1] for number in needed}
        for rule in sorted(rules, reverse=True):
            others = [
                number + 1
                for other in rules - {rule}
                for number in range(self.first[other], self.first[other + 1])
            ]
            if all(self._search(box, others)[0] is None for box in closed):
                rules.discard(rule)
        return sorted(rules)

    def _is_alone(self, number: int, box: Box) -> bool:
        return _holds(self.boxes[number - 1], box, self.space.full)

    def _search(self, box: Box, numbers: Iterable[int]) -> tuple[Box | None, set[int]]:
        """A part of *box* outside all boxes *numbers* (from 1), or None and those that prove it."""
        start = dict(box)
        clauses: list[_Clause] = []
        for number in numbers:
            asked = []
            for place, mask in self.boxes[number - 1].items():
                here = start.setdefault(place, self.space.full[place])
                if not here & mask:
                    break
                if here & ~mask:
                    asked.append((place, mask))
            else:
                if not asked:
                    return None, {number}
                clauses.append((number, asked))
        used: set[int] = set()
        steps = STEPS_A_QUESTION
        waiting = [(start, clauses)]
        while waiting:
            here_now, remaining = waiting.pop()
            steps -= len(remaining)
            self._steps -= len(remaining)
            if steps < 0 or self._steps < 0:
                raise Unsettled("too many ways in which words and choices go together")
            found = self._follow(here_now, remaining, used)
            if found is None:
                continue
            here_now, remaining = found
            if not remaining:
                return here_now, used
            # The box with the fewest ways out of it, and the last of these.
            place, mask = min(remaining, key=lambda clause: len(clause[1]))[1][-1]
            for way in (mask, ~mask):
                side = self.space.narrowed(here_now, place, way)
                if side is not None:
                    waiting.append((side, remaining))
        return None, used

    def _follow(
        self, box: Box, clauses: list[_Clause], used: set[int]
    ) -> tuple[Box, list[_Clause]] | None:
        """*box* without what can only be left one way, and the clauses still to be left.

        None where nothing of it remains.
        """
        while clauses:
            remaining: list[_Clause] = []
            moved = False
            for number, asked in clauses:
                ways = []
                for way in asked:
                    here = box[way[0]]
                    if not here & way[1]:
                        break
                    if here & ~way[1]:
                        ways.append(way)
                else:
                    if len(ways) > 1:
                        remaining.append((number, ways))
                        continue
                    used.add(number)
                    smaller = self.space.narrowed(box, ways[0][0], ~ways[0][1]) if ways else None
                    if smaller is None:
                        return None
                    box, moved = smaller, True
            clauses = remaining
            if not moved:
                freed = self._free(box, clauses)
                if freed is None:
                    break
                box, clauses = freed
        return box, clauses

    def _free(self, box: Box, clauses: list[_Clause]) -> tuple[Box, list[_Clause]] | None:
        """*box* where a value that no clause allows is taken, which costs no way out of any.

        None where every value is allowed by some.
        """
        allowed: dict[int, int] = {}
        for _, asked in clauses:
            for place, mask in asked:
                allowed[place] = allowed.get(place, 0) | mask
        done: set[int] = set()
        for place, mask in allowed.items():
            free = box[place] & ~mask
            if not free:
                continue
            if place >= self.space.words_from:
                others = self.space.related(place, free)
                if any(allowed.get(other, 0) & free for other in others):
                    continue
            smaller = self.space.narrowed(box, place, free)
            if smaller is not None:
                box = smaller
                done.add(place)
        if not done:
            return None
        return box, [it for it in clauses if not any(place in done for place, _ in it[1])]


def _holds(outer: Box, inner: Box, full: Sequence[int]) -> bool:
    return not any(inner.get(place, full[place]) & ~mask for place, mask in outer.items())


def _places(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def _number(places: Sequence[int]) -> int:
    """The number whose bits are *places*."""
    if not places:
        return 0
    raw = bytearray(max(places) // 8 + 1)
    for place in places:
        raw[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(raw, "little")
