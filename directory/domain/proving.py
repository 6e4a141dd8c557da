"""Questions about boxes of enquiries, settled exactly: what do earlier rules leave of this one?

Most are settled by one look at all boxes at once. Whether several boxes together leave anything of
another is settled by cutting: whatever leaves only one way out takes it, else both sides of one
attribute are tried. That is exact, and may take exponential time where words are woven together
on purpose; a bound on the steps ends it, and then the answer is ``Unsettled``, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from directory.domain.rule_index import bits
from directory.domain.space import ABSENT, PRESENT, Box, Space, Unsettled, meet

# Looks at one box while one question is settled, and in all.
STEPS_A_QUESTION: Final = 200_000
STEPS_IN_ALL: Final = 6_000_000


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
        self._listed, self._asked = where, asked
        self._worded, self.needing = _number(worded), _number(needing)
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
        for place in self._asked:
            if place >= self.space.words_from:
                continue
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
        """A part of *box* that none of the first *upto* boxes meets; None where they cover it.

        Raises Unsettled.
        """
        within_it = self.space.closed(box)
        if within_it is None or self.around(within_it, upto):
            return None
        met = self.meeting(within_it, upto)
        return self._walk_out(within_it, met) or self._cut(within_it, met)[0]

    def _walk_out(self, box: Box, met: int) -> Box | None:
        """The cheap try: no word but those needed, and the value that fewest boxes allow."""
        space = self.space
        needing = met & self.needing
        left = met & ~self.needing
        for number in bits(needing):
            words = self.boxes[number - 1].items()
            if all(
                box.get(place) == PRESENT
                for place, mask in words
                if place >= space.words_from and mask == PRESENT
            ):
                left |= 1 << number - 1
        found = dict(box)
        for place in range(space.words_from):
            if not left:
                break
            asking = self._asking(place) & left
            if not asking:
                continue
            mask = box.get(place, space.full[place])
            best = min(
                _places(mask),
                key=lambda bit: (asking & self._allowing(place, bit)).bit_count(),
            )
            found[place] = 1 << best
            left &= ~asking | self._allowing(place, best)
        for number in bits(left):
            # Boxes that a word keeps away, absent or present.
            if meet(self.boxes[number - 1], found) is not None:
                return None
        # What was left away counts as absent.
        for number in bits(needing):
            for place, mask in self.boxes[number - 1].items():
                if place >= space.words_from and mask == PRESENT:
                    found.setdefault(place, ABSENT)
        return space.closed(found)

    def _cut(self, box: Box, met: int) -> tuple[Box | None, set[int]]:
        """A part of *box* outside all boxes of *met*, or None and the boxes that proved it."""
        return self._search(box, [number - 1 for number in bits(met)])

    def _search(self, box: Box, clauses: list[int]) -> tuple[Box | None, set[int]]:
        used: set[int] = set()
        steps = STEPS_A_QUESTION
        waiting: list[tuple[Box, list[int]]] = [(box, clauses)]
        while waiting:
            here, open_ones = waiting.pop()
            steps -= len(open_ones)
            self._steps -= len(open_ones)
            if steps < 0 or self._steps < 0:
                raise Unsettled("too many ways in which words and choices go together")
            found = self._follow(here, open_ones, used)
            if found is None:
                continue
            here, open_ones, narrow = found
            if not open_ones:
                return here, used
            place, mask = narrow
            inside = self.space.closed(
                {**here, place: here.get(place, self.space.full[place]) & mask}
            )
            beyond = self.space.closed(
                {**here, place: here.get(place, self.space.full[place]) & ~mask}
            )
            waiting += [(side, open_ones) for side in (inside, beyond) if side is not None]
        return None, used

    def _follow(
        self, box: Box, clauses: list[int], used: set[int]
    ) -> tuple[Box, list[int], tuple[int, int]] | None:
        """*box* without what can only be left one way, and what is still to be decided of it.

        None where nothing remains. The last is where to cut next.
        """
        full = self.space.full
        while True:
            remaining: list[int] = []
            narrow: tuple[int, int] = (0, 0)
            fewest, moved = 1 << 30, False
            for number in clauses:
                ways = 0
                out = (0, 0)
                for place, mask in self.boxes[number].items():
                    here = box.get(place, full[place])
                    if not here & mask:
                        break
                    if here & ~mask:
                        ways += 1
                        out = (place, mask)
                else:
                    if ways == 0:
                        used.add(number)
                        return None
                    if ways > 1:
                        remaining.append(number)
                        if ways < fewest:
                            fewest, narrow = ways, out
                        continue
                    used.add(number)
                    place, mask = out
                    smaller = self.space.closed({**box, place: box.get(place, full[place]) & ~mask})
                    if smaller is None:
                        return None
                    box, moved = smaller, True
            clauses = remaining
            if not moved:
                return box, clauses, narrow

    def covering(self, boxes: Sequence[Box], upto: int) -> list[int] | None:
        """The places of a smallest set of rules that cover *boxes*, or None if *upto* do not.

        Smallest as none of them can be spared; one rule alone where one is enough. Raises
        Unsettled.
        """
        closed = [box for it in boxes if (box := self.space.closed(it)) is not None]
        alone: set[int] | None = None
        for box in closed:
            rules = {self.rule_of[n - 1] for n in bits(self.around(box, upto))}
            alone = rules if alone is None else alone & rules
        if alone:
            return [min(alone)]
        needed: set[int] = set()
        for box in closed:
            if one := self.around(box, upto):
                needed.add(next(bits(one)) - 1)
                continue
            left, used = self._cut(box, self.meeting(box, upto))
            if left is not None:
                return None
            needed |= used
        rules = {self.rule_of[number] for number in needed}
        for rule in sorted(rules, reverse=True):
            others = [
                number
                for other in rules - {rule}
                for number in range(self.first[other], self.first[other + 1])
            ]
            if all(self._search(box, others)[0] is None for box in closed):
                rules.discard(rule)
        return sorted(rules)


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
