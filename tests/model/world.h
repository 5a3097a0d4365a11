#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "tests/model/host.h"
#include "tests/model/ledger.h"
#include "tests/model/story.h"

namespace lefting::model {

/// What may happen in a schedule.
struct Weather {
  std::size_t hosts = 3;
  unsigned steps = 200;
  bool deaths = true;       ///< programs are killed
  bool power_cuts = false;  ///< and machines
  bool lost_stores = false;
  bool wrong_clocks = false;
  bool long_absences = false;
  bool ignore_rules = false;
  bool backups = false;       ///< that are put back; with right clocks only
  bool mixed_hashes = false;  ///< by every second host, or after another setting
};
/// The weather of a seed.
Weather weather_of(std::uint64_t seed);

/// Some hosts, their users, and a network that loses, repeats and reorders.
class World {
 public:
  explicit World(std::uint64_t seed);

  /// Runs the whole schedule and lets all come to rest. Returns what is wrong, or "".
  std::string run();
  /// What happened, a line each; kept only where asked for before run().
  void keep_story() { story_.keep(); }
  const std::string& story() const { return story_.text(); }

 private:
  void step();
  void user(Host& host);
  void user_writes(Host& host, const std::string& path, std::int64_t later_ms = 0);
  void gone(Host& host, const std::string& path);
  void user_ends(Host& host, const std::string& path);
  void talk();
  void deliver(std::size_t from, std::size_t to, const News& news, bool whole);
  void change_rules(Host& host);
  void put_back(Host& host);
  void misfortune(Host& host);
  void traverse(Host& host);
  bool work(Host& host);
  Host::Fetch ask() const {
    return [this](std::size_t from, const Entry& wanted, Host::Part part) {
      return part == Host::Part::entry ? hosts_[from].serve_entry(wanted)
                                       : hosts_[from].serve(wanted);
    };
  }
  std::string come_to_rest();
  bool settle_once();
  void calm();
  void announce(const Host& host);
  std::string fault_at_rest() const;
  std::string fault_now() const;
  std::string any_path();
  std::uint64_t clock(const Host& host) const { return host.now_ms(); }
  unsigned pick(unsigned below) { return static_cast<unsigned>(random_() % below); }

  Story story_;
  std::mt19937_64 random_;
  Weather weather_;
  std::vector<Host> hosts_;
  std::deque<News> wires_[kMostHosts][kMostHosts];
  Ledger ledger_;
  std::uint64_t time_ms_ = 1'700'000'000'000;
  Content next_content_ = 1;
  bool has_forgotten_ = false;
};

}  // namespace lefting::model
