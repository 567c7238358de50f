"""Which version a live resource serves: our note with the store, then the place that is shown, then nothing."""

import pytest

from reconciler.importing.versions import make_out, seen_resources
from reconciler.plan.states import Ledger, Location, VersionKey
from reconciler.spec.documents import Model, ModelMetadata, ModelSpec, ReadyLocation, ReadyVersion

KEY = VersionKey("breast-cancer", "2026-10")


@pytest.fixture
def made_out(a):
    def make(*live, ledger=None, models=None, resources=(a.model,)):
        ledger = ledger or Ledger()
        seen = [one for each in live for one in seen_resources(each, resources, "contoso", ledger)]
        return make_out(seen, ledger, models or {})

    return make


def test_nothing_is_guessed(a, made_out):
    assert {} == made_out(a.live()).of


def test_a_place_that_is_shown_gets_a_label_of_its_own(a, made_out):
    found = made_out(a.live(bound={a.model: a.place()}))
    (key,) = found.of.values()
    assert "breast-cancer" == key.model
    assert key.label.startswith("imported-")
    assert [(key, a.place())] == [(ready.key, ready.location) for ready in found.ready]
    assert found == made_out(a.live(bound={a.model: a.place()}))


def test_equal_places_are_one_version_and_others_are_others(a, made_out):
    shown = [a.place("m/1.ilearner"), a.place("m/1.ilearner"), a.place("m/2.ilearner")]
    found = made_out(*(a.live(f"w/s/{number}", bound={a.model: place}) for number, place in enumerate(shown)))
    first, same, other = found.of.values()
    assert first == same != other
    assert 2 == len(found.ready)


def test_our_note_names_the_version_at_the_place_that_is_shown(a, made_out):
    found = made_out(a.live(bound={a.model: a.own_place(KEY)}, markers=[a.marker(KEY)]))
    assert [KEY] == list(found.of.values())


def test_of_two_places_under_one_note_the_one_that_is_ours_keeps_its_name(a, made_out):
    """Whoever patches the model outside reconciler leaves our note as it was."""
    notes = [a.marker(KEY)]
    found = made_out(
        a.live("w/s/1", bound={a.model: a.place("aaa/by-hand.ilearner")}, markers=notes),
        a.live("w/s/2", bound={a.model: a.own_place(KEY)}, markers=notes),
    )
    by_hand, ours = found.of.values()
    assert KEY == ours
    assert by_hand.model == "breast-cancer"
    assert by_hand.label.startswith("imported-")


def test_a_note_alone_does_not_say_where_its_version_lies(a, made_out):
    assert {} == made_out(a.live(markers=[a.marker(KEY)])).of


def test_a_note_that_the_store_confirms_says_it(a, made_out):
    place = a.own_place(KEY)
    live = a.live(markers=[a.marker(KEY)])
    found = made_out(live, ledger=a.ledger(KEY, place, live.identity))
    assert [KEY] == list(found.of.values())
    assert [place] == [ready.location for ready in found.ready]


def test_a_store_that_never_pointed_the_target_there_confirms_nothing(a, made_out):
    """The plan would have to do that move again, for want of proof."""
    assert {} == made_out(a.live(markers=[a.marker(KEY)]), ledger=a.ledger(KEY, a.own_place(KEY))).of


def test_a_copy_that_the_store_has_seen_is_the_version_that_it_was_made_of(a, made_out):
    place, copy = a.own_place(KEY), a.place("internal/7.ilearner")
    live = a.live(bound={a.model: copy}, markers=[a.marker(KEY)])
    found = made_out(live, ledger=a.ledger(KEY, place, live.identity, seen=copy))
    assert [KEY] == list(found.of.values())
    assert [place] == [ready.location for ready in found.ready]


def test_a_place_never_gets_a_name_that_the_store_has_for_another(a, made_out):
    """The plan would take that for a changed recipe."""
    other = a.place("m/other.ilearner")
    found = made_out(a.live(bound={a.model: other}, markers=[a.marker(KEY)]), ledger=a.ledger(KEY, a.own_place(KEY)))
    (key,) = found.of.values()
    assert key.label.startswith("imported-")


def test_a_model_that_has_a_document_gives_its_name_to_no_other(a, made_out):
    model = Model(metadata=ModelMetadata(name="breast-cancer"), spec=ModelSpec(workspace="contoso"))
    found = made_out(a.live(bound={a.model: a.place()}), models={"breast-cancer": model})
    (key,) = found.of.values()
    assert "breast-cancer-imported" == key.model


def test_a_version_that_has_a_document_is_referred_to(a, made_out):
    place = a.place("m/1.ilearner")
    ready = ReadyVersion(location=ReadyLocation(base_location=place.base, relative_location=place.relative))
    model = Model(
        metadata=ModelMetadata(name="breast-cancer"), spec=ModelSpec(workspace="contoso", versions={"2026-10": ready})
    )
    live = a.live(bound={a.model: place}, markers=[a.marker(KEY)])
    found = made_out(live, models={"breast-cancer": model})
    assert [KEY] == list(found.of.values())
    assert () == found.ready


@pytest.mark.parametrize(
    "place",
    [
        Location("http://elsewhere.example/", "m/1.ilearner"),
        Location("https://contoso.blob.core.windows.net/", "m/1.dat"),
        Location("https://user:password@contoso.blob.core.windows.net/", "m/1.ilearner"),
    ],
)
def test_a_place_that_no_spec_may_say_is_not_said(a, made_out, place):
    assert {} == made_out(a.live(bound={a.model: place})).of


def test_each_of_several_resources_has_the_part_of_the_note_that_is_its(a, made_out):
    keys = VersionKey("age", "1"), VersionKey("sex", "1")
    live = a.live(
        bound={"Age": a.own_place(keys[0]), "Sex": a.own_place(keys[1])}, markers=[a.marker(key) for key in keys]
    )
    found = made_out(live, resources=("Age", "Sex"))
    assert {(live.identity, "Age"): keys[0], (live.identity, "Sex"): keys[1]} == found.of
