#include "supervisor/unsynced.h"

#include <utility>
#include <vector>

#include "common/share/ignore.h"
#include "common/share/path.h"
#include "common/share/reason_of.h"
#include "common/share/share.h"
#include "common/share/traverse.h"

namespace lefting::supervisor {

namespace {

/// So many files are compared while the store is open.
constexpr std::size_t kPage = 1000;

class Lister {
 public:
  using Emit = std::function<void(const Unsynced&)>;
  Lister(View& view, const share::Share& share, const Emit& emit)
      : view_{view}, share_{share}, emit_{emit}, ignore_{share} {}

  void list() {
    if (auto rules = ignore_.refresh(); !rules) {
      emit_({std::string{share::kIgnoreName}, share::reason_of(rules.error())});
    }
    list_share();
    list_gone();
  }

 private:
  struct Met {
    std::string path;
    share::FileStat stat;
  };

  void list_share() {
    share::Visitor visitor;
    visitor.enters = [this](const std::string& path) { return !is_ignored(path, true); };
    visitor.file = [this](const std::string& path, const share::FileStat& stat) {
      if (is_ignored(path, false)) return true;
      met_.push_back({path, stat});
      if (met_.size() >= kPage) compare();
      return true;
    };
    visitor.skipped = [this](const std::string& path) {
      emit_({path, {Cause::special, "no regular file"}});
    };
    visitor.partial = [this](const std::string& path) { look_at_partial(path); };
    visitor.trouble = [this](const Error& error, const std::string&) {
      emit_({error.subject, share::reason_of(error)});
    };
    share::traverse(share_, "", visitor);
    compare();
  }

  bool is_ignored(const std::string& path, bool is_folder) const {
    if (!ignore_.rules().match(path, is_folder)) return false;
    emit_({is_folder ? path + "/" : path, {Cause::ignored, ".leftingignore excludes it"}});
    return true;
  }

  void look_at_partial(const std::string& path) {
    const auto [folder, name] = share::split_path(path);
    const auto whole = share::whole_name(name);
    if (whole && view_.has_ticket(share::join_path(folder, std::string{*whole}))) return;
    emit_({path, {Cause::left_over, "it belongs to no transfer, and may be removed"}});
  }

  void compare() {
    std::vector<Unsynced> found;
    {
      const View::Session session{view_};
      for (Met& met : std::exchange(met_, {})) {
        const auto record = view_.find_file(met.path);
        const bool is_recorded =
            record && share::is_unchanged(met.stat, *record) && met.stat.mode == record->entry.mode;
        if (is_recorded || view_.has_ticket(met.path)) continue;
        const char* text = record && !record->entry.deleted ? "changed, and not recorded yet"
                                                            : "new, and not recorded yet";
        found.push_back({std::move(met.path), {Cause::changing, text}});
      }
    }
    for (const Unsynced& one : found) emit_(one);
  }

  void list_gone() {
    const bool held = view_.counts().held != 0;
    view_.for_each_file([&](const Record& record) {
      const std::string& path = record.entry.path;
      if (record.entry.deleted || ignore_.rules().covers(path)) return;
      const auto stat = share_.stat(path);
      if (!stat || (stat.value() && stat.value()->type == share::FileType::file)) return;
      if (view_.has_ticket(path)) return;
      emit_({path, held ? Reason{Cause::held, "gone; told to nobody until it is approved"}
                        : Reason{Cause::changing, "gone, and not recorded yet"}});
    });
  }

  View& view_;
  const share::Share& share_;
  const Emit& emit_;
  share::IgnoreFile ignore_;
  std::vector<Met> met_;
};

}  // namespace

Status for_each_unsynced(View& view, const std::function<void(const Unsynced&)>& emit) {
  view.for_each_ticket([&](const state::TicketView& ticket) {
    emit({ticket.ticket.wanted.path, {cause_of(ticket), ticket.reason.text}});
    return true;
  });
  const auto share = share::Share::open(view.instance().share);
  if (!share) return share.error();
  Lister{view, share.value(), emit}.list();
  return {};
}

}  // namespace lefting::supervisor
