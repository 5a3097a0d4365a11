#pragma once

namespace lefting {

/// The descriptors that a program started by the supervisor begins with: the whole contract of
/// supervisor and roles, beside their flags and exit codes.
///
/// Made by the supervisor, inherited under these numbers; everything else is close-on-exec.
enum InheritedFd : int {
  kSegmentFd = 3,      ///< memfd of the segment
  kLifelineFd = 4,     ///< a pipe of this program's own; end of file: leave (the supervisor wants
                       ///< it, or is gone)
  kReadyFd = 5,        ///< write a newline when ready
  kWakeScannerFd = 6,  ///< eventfds: write to wake that program
  kWakeListenerFd = 7,
  kWakeDownloaderFd = 8,
  kWakeSupervisorFd = 9,
  kLockFd = 10,    ///< the instance's lock, held as long as one of its programs lives
  kListenFd = 11,  ///< the listening socket; only the listener has it
};

/// A role's exit code is an order to the supervisor.
enum RoleExit : int {
  kExitDone = 0,        ///< asked to leave, or the supervisor is gone: nothing to do
  kExitFailed = 1,      ///< start it again, with backoff
  kExitMemory = 99,     ///< memory was refused: likewise
  kExitPermanent = 100  ///< starting it again can't help (bad store, bad share): mark it failed
};

/// Environment variable by which a program knows that the descriptors above are there; its value
/// is the segment's generation in decimal.
inline constexpr const char* kGenerationVariable = "LEFTING_GENERATION";

}  // namespace lefting
