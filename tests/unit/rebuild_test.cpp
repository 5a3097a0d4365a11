#include "supervisor/rebuild.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "common/base/os.h"
#include "common/share/marker.h"
#include "common/sync/writer.h"
#include "tests/unit/run_sql.h"
#include "tests/unit/temp_folder.h"

using namespace lefting;
using namespace lefting::supervisor;
namespace fs = std::filesystem;

namespace {

DeviceId device() {
  DeviceId id;
  id.bytes.fill(7);
  return id;
}

/// A state folder and a share, as `start` finds them.
struct Place {
  test::TempFolder folder;
  InstancePaths paths{folder / "state"};

  Place() {
    fs::create_directory(folder / "state");
    fs::create_directory(folder / "share");
  }
  share::Share share() const { return share::Share::open(folder / "share").take(); }
  void put_file() const { std::ofstream{folder / "share/file"} << "1"; }
  void put_marker() const { REQUIRE(share::write_marker(share(), "0123456789abcdef").ok()); }
  BegunIndex begin(const Past& past) const {
    auto begun = begin_index(paths, share(), device(), past);
    REQUIRE(begun.ok());
    return begun.take();
  }
  std::string refusal(const Past& past) const {
    const auto begun = begin_index(paths, share(), device(), past);
    return begun ? "" : begun.error().text();
  }
  std::size_t old_stores() const {
    std::size_t count = 0;
    for (const auto& item : fs::directory_iterator{paths.dir}) {
      const std::string name = item.path().filename();
      count += name.starts_with("lefting.db.old-") && name.find("-wal") == name.npos &&
                       name.find("-shm") == name.npos
                   ? 1
                   : 0;
    }
    return count;
  }
  void forget_boot() const {
    test::run_sql(paths.store(), "UPDATE fact SET value='another' WHERE name='boot'");
  }
};

}  // namespace

TEST_CASE("begin_index: a device's first index writes the device's name") {
  const Place place;
  place.put_file();
  const BegunIndex begun = place.begin({});
  CHECK(begun.store->writer() == short_id(device()));
  CHECK_FALSE(begun.store->adopter());
  CHECK(begun.note.empty());
}

TEST_CASE("begin_index: one that may have had a predecessor has a name of its own, and adopts") {
  for (const bool marked : {false, true}) {
    const Place place;
    place.put_file();
    if (marked) place.put_marker();
    const BegunIndex begun = place.begin({.started = !marked});
    const auto writer = begun.store->writer();
    CHECK(writer == sync::successor_writer(device(), begun.store->index_id(), boot_id()));
    CHECK(begun.store->adopter());
    CHECK(begun.note.find("lost") != std::string::npos);
    CHECK(place.old_stores() == 0);
  }
}

TEST_CASE("begin_index: an index that goes on keeps its name, whatever the marker says") {
  const Place place;
  place.put_marker();
  const auto writer = place.begin({.started = true}).store->writer();
  for (const bool goes_on : {false, true}) {
    const BegunIndex again = place.begin({.goes_on = goes_on, .started = true});
    CHECK(again.store->writer() == writer);
    CHECK(again.store->adopter());
    CHECK(again.note.empty());
  }
}

TEST_CASE("begin_index: a power cut while it adopts gives it another name, later it doesn't") {
  const Place place;
  place.put_marker();
  const Past past{.goes_on = true, .started = true};
  const auto first = place.begin({.started = true}).store->writer();
  // The name is made of the boot id: that of now is chosen by a store that remembers another.
  place.begin(past).store->set_writer(sync::successor_writer(device(), 1, "another"), true);
  place.forget_boot();
  CHECK(place.begin(past).store->writer() == first);
  place.begin(past).store->end_adoption();
  place.begin(past).store->set_writer(short_id(device()), false);
  place.forget_boot();
  CHECK(place.begin(past).store->writer() == short_id(device()));
}

TEST_CASE("begin_index: a rebuild sets the old store aside as it is and takes its peers over") {
  const Place place;
  place.put_file();
  IndexId old_index = 0;
  {
    const BegunIndex first = place.begin({});
    old_index = first.store->index_id();
    Peer peer;
    peer.slot = 5;
    peer.address = "host:1";
    peer.told = 9;
    store::Transaction transaction{*first.store};
    transaction.put_peer(peer);
    transaction.commit();
  }
  const std::string bytes = read_file(place.paths.store()).take();
  for (std::size_t round = 1; round <= 3; ++round) {
    const BegunIndex begun = place.begin({.rebuild = true, .started = true});
    CHECK(begun.store->index_id() != old_index);
    CHECK(begun.store->adopter());
    CHECK_FALSE(begun.store->has_share());
    REQUIRE(begun.store->peers().size() == 1);
    CHECK(begun.store->peers()[0].slot == 5);
    CHECK(begun.store->peers()[0].address == "host:1");
    CHECK(begun.store->peers()[0].told == 0);
    CHECK(place.old_stores() == round);  // within one second too
    const auto name = begun.note.find(place.paths.store() + ".old-");
    REQUIRE(name != std::string::npos);
    if (round > 1) continue;
    const std::string kept = begun.note.substr(name, begun.note.find(';', name) - name);
    CHECK(read_file(kept).take() == bytes);
  }
}

TEST_CASE("finish_rebuild: a rebuild that died with the old store set aside is gone on with") {
  const Place place;
  place.put_file();
  IndexId next_index = 0;
  {
    store::Store next{place.paths.store() + ".new"};
    next.set_writer(*parse_short_id("ABCDEFGH"), true);
    next_index = next.index_id();
    Peer peer;
    peer.address = "host:1";
    store::Transaction transaction{next};
    transaction.put_peer(peer);
    transaction.commit();
  }
  REQUIRE(finish_rebuild(place.paths).ok());
  CHECK_FALSE(fs::exists(place.paths.store() + ".new"));
  {
    const BegunIndex begun = place.begin({.started = true});
    CHECK(begun.store->index_id() == next_index);
    CHECK(begun.store->peers().size() == 1);
    CHECK(begun.store->adopter());
  }
  // One that died before it set the old one aside is begun anew, whatever it left.
  std::ofstream{place.paths.store() + ".new"} << "half made";
  REQUIRE(finish_rebuild(place.paths).ok());
  CHECK(store::Store{place.paths.store()}.index_id() == next_index);
  CHECK(place.begin({.rebuild = true, .started = true}).store->peers().size() == 1);
  CHECK_FALSE(fs::exists(place.paths.store() + ".new"));
}

TEST_CASE("begin_index: an empty share without a marker is refused where there were files") {
  const Place place;
  {
    const BegunIndex first = place.begin({});
    Record record;
    record.entry.path = "file";
    store::Transaction transaction{*first.store};
    transaction.put_record(record, 0);
    transaction.commit();
  }
  const Past rebuild{.rebuild = true, .started = true};
  CHECK(place.refusal(rebuild).find("mount it") != std::string::npos);
  CHECK(place.old_stores() == 0);
  fs::remove(place.paths.store());
  CHECK(place.refusal({.started = true, .same_share = true}) != "");
  CHECK_FALSE(fs::exists(place.paths.store()));
  std::ofstream{place.paths.store()} << "damaged, so that nobody knows";
  CHECK(place.refusal(rebuild) != "");
  place.put_marker();
  CHECK(place.refusal(rebuild).empty());
  CHECK(place.old_stores() == 1);
}
