"""A decoder's name is read into a typed value, and what is wrong with it is said at once."""

import pytest

from autoqec.comparing.decoder_names import InstalledDecoder, SinterBuiltIn, TrainedDecoder, read_decoder, read_decoders
from autoqec.errors import AutoQECError, MissingPackageError, NotFoundError, UsageError
from autoqec.exchange.folder import write_folder
from autoqec.exchange.package import Package


@pytest.mark.parametrize(
    ("name", "kind", "fields"),
    [
        ("mwpm", "mwpm", {}),
        ("osd:method=osd_cs,order=10", "osd", {"method": "osd_cs", "order": 10}),
        ("osd:order=10, method=osd_cs", "osd", {"method": "osd_cs", "order": 10}),
        ("osd:ms_scaling_factor=5e-1", "osd", {"ms_scaling_factor": 0.5}),
        ("sinter:numpy:A:x=[1, 2],y='a,b'", "sinter:numpy:A", {"x": [1, 2], "y": "a,b"}),
    ],
)
def test_fields_are_read_as_yaml(registry, name, kind, fields):
    found = read_decoder(name, registry)
    assert isinstance(found, InstalledDecoder)
    assert (found.choice.kind, found.choice.fields) == (kind, fields)
    assert read_decoder(found.label, registry).choice == found.choice


def test_two_spellings_have_one_label(registry):
    one, other = (
        read_decoder(name, registry) for name in ("osd:order=10,method=osd_cs", "osd:method=osd_cs, order=10")
    )
    assert one.label == other.label == "osd:method=osd_cs,order=10"
    with pytest.raises(UsageError, match="named twice"):
        read_decoders(["osd:order=1", "mwpm", "osd: order=1"], registry)


def test_decoders_of_sinter_have_their_own_names_and_versions(registry):
    found = read_decoder("pymatching", registry)
    assert isinstance(found, SinterBuiltIn)
    assert found.settings()["distribution"].startswith("sinter ")
    assert found.settings()["needs"].startswith("pymatching ")
    assert read_decoder("sinter:stim:A", registry).needs.startswith("stim ")


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        ("mwmp", NotFoundError, "there is no decoder named 'mwmp'"),
        ("osd:order", UsageError, "'order' is not a field with its value"),
        ("osd:order=1,order=2", UsageError, "order is written twice"),
        ("osd:order=[1", UsageError, "field order"),
        ("osd:kind=mwpm", UsageError, "kind is no field"),
        ("pymatching:order=1", UsageError, "takes no fields"),
        ("pymatching:order", UsageError, "not a field with its value"),
        ("sinter:", NotFoundError, "no decoder named"),
        ("", UsageError, "not a line of text"),
        ("a\nb", UsageError, "not a line of text"),
        ("x" * 2000, UsageError, "longer than any"),
        ("exp/none/1", NotFoundError, "none"),
        ("./nowhere", NotFoundError, "not an exported round"),
    ],
)
def test_what_is_wrong_with_a_name_is_said(registry, tmp_path, monkeypatch, name, kind, told):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(kind, match=told if not name.startswith("exp/") else "repository"):
        read_decoder(name, registry)


def test_a_misspelt_name_gets_its_neighbour(registry):
    with pytest.raises(NotFoundError) as caught:
        read_decoder("mwmp", registry)
    assert "did you mean mwpm" in caught.value.hint
    assert "pymatching" in caught.value.hint
    assert "sinter:module:Class" in caught.value.hint


def test_a_file_and_a_round_outside_labs_get_a_hint_that_helps(registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFoundError) as caught:
        read_decoder("my.stim", registry)
    assert "write --circuit my.stim" in caught.value.hint
    with pytest.raises(NotFoundError, match="round exp/none/1 is in no lab: .* not in a git repository") as caught:
        read_decoder("exp/none/1", registry)
    assert "in the lab that has the round" in caught.value.hint


@pytest.mark.parametrize(("name", "line"), [("chromobius", "'chromobius'"), ("hypergraph_union_find", "'mwpf'")])
def test_a_missing_package_is_named_with_the_command_that_installs_it(registry, monkeypatch, name, line):
    from importlib.metadata import PackageNotFoundError, version

    def without(distribution):
        if distribution in ("chromobius", "mwpf"):
            raise PackageNotFoundError(distribution)
        return version(distribution)

    monkeypatch.setattr("autoqec.comparing.decoder_names.version", without)
    monkeypatch.setattr("autoqec.plugins.version", without)
    with pytest.raises(MissingPackageError) as caught:
        read_decoder(name, registry)
    assert caught.value.hint == f"pip install {line}"


def test_an_exported_round_is_read_as_data(registry, tmp_path, own_package):
    write_folder(own_package, registry, tmp_path / "out")
    found = read_decoder(f"{tmp_path}/out/", registry)
    assert isinstance(found, TrainedDecoder)
    assert found.settings()["digest"] == own_package.digest
    assert isinstance(found.package, Package)


def test_a_forged_manifest_is_no_internal_error(registry, tmp_path, own_package):
    write_folder(own_package, registry, tmp_path)
    manifest = tmp_path / "manifest.json"
    good = manifest.read_text()
    for forged in (
        "[]",
        "[" * 100_000,
        "{}",
        good.replace('"commit"', '"comit"'),
        good.replace('"verdict": null', '"verdict": 3'),
    ):
        manifest.write_text(forged)
        with pytest.raises(AutoQECError):
            read_decoder(str(tmp_path), registry)
