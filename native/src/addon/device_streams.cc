// Streams, events, and graphs of what a stream was given.
#include <utility>

#include "addon/device_handles.h"

namespace imago {
namespace {

Napi::Value stream(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = device_index(info, 0);
  imago_error error{};
  void* made = nullptr;
  must(env, devices(env).stream_create(device, &made, &error), error);
  return wrap(env, new StreamHandle{device, made, false, {}});
}

Napi::Value event(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const int device = device_index(info, 0);
  imago_error error{};
  void* made = nullptr;
  must(env, devices(env).event_create(device, &made, &error), error);
  return wrap(env, new EventHandle{device, made});
}

/** record(event, stream) */
Napi::Value record(const Napi::CallbackInfo& info) {
  const EventHandle& event = argument<EventHandle>(info, 0);
  const StreamHandle& stream = argument<StreamHandle>(info, 1);
  imago_error error{};
  same_device(info.Env(), event.device, stream.device);
  must(info.Env(), devices(info.Env()).event_record(stream.device, event.event, stream.stream, &error), error);
  return info.Env().Undefined();
}

/** wait(stream, event) */
Napi::Value wait(const Napi::CallbackInfo& info) {
  const StreamHandle& stream = argument<StreamHandle>(info, 0);
  const EventHandle& event = argument<EventHandle>(info, 1);
  imago_error error{};
  must(info.Env(), devices(info.Env()).stream_wait(stream.device, stream.stream, event.event, &error), error);
  return info.Env().Undefined();
}

/** elapsed(from, to): milliseconds; both have come. */
Napi::Value elapsed(const Napi::CallbackInfo& info) {
  const EventHandle& from = argument<EventHandle>(info, 0);
  const EventHandle& to = argument<EventHandle>(info, 1);
  imago_error error{};
  float milliseconds = 0;
  must(info.Env(), devices(info.Env()).event_elapsed(from.event, to.event, &milliseconds, &error), error);
  return Napi::Number::New(info.Env(), milliseconds);
}

/** finished(stream or event) */
Napi::Value finished(const Napi::CallbackInfo& info) {
  imago_error error{};
  int is_finished = 0;
  if (peek<EventHandle>(info.Env(), info[0]) != nullptr) {
    must(info.Env(), devices(info.Env()).event_query(argument<EventHandle>(info, 0).event, &is_finished, &error), error);
  } else {
    const StreamHandle& stream = argument<StreamHandle>(info, 0);
    must(info.Env(), devices(info.Env()).stream_query(stream.device, stream.stream, &is_finished, &error), error);
  }
  return Napi::Boolean::New(info.Env(), is_finished != 0);
}

/** begin(stream): what it is given from here on becomes a graph. */
Napi::Value begin(const Napi::CallbackInfo& info) {
  StreamHandle& stream = argument<StreamHandle>(info, 0);
  imago_error error{};
  must(info.Env(), devices(info.Env()).capture_begin(stream.device, stream.stream, &error), error);
  stream.is_capturing = true;
  return info.Env().Undefined();
}

/** end(stream): the graph. */
Napi::Value end(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  StreamHandle& stream = argument<StreamHandle>(info, 0);
  stream.is_capturing = false;
  std::vector<std::shared_ptr<Allocation>> captured = std::move(stream.captured);
  stream.captured.clear();
  imago_error error{};
  void* graph = nullptr;
  must(env, devices(env).capture_end(stream.device, stream.stream, &graph, &error), error);
  return wrap(env, new GraphHandle{stream.device, graph, std::move(captured)});
}

/** launch(graph, stream) */
Napi::Value launch(const Napi::CallbackInfo& info) {
  const GraphHandle& graph = argument<GraphHandle>(info, 0);
  const StreamHandle& stream = argument<StreamHandle>(info, 1);
  imago_error error{};
  same_device(info.Env(), graph.device, stream.device);
  must(info.Env(), devices(info.Env()).graph_launch(stream.device, graph.graph, stream.stream, &error), error);
  return info.Env().Undefined();
}

}  // namespace

void add_stream_functions(Functions functions) {
  functions.add<stream>("stream");
  functions.add<event>("event");
  functions.add<record>("record");
  functions.add<wait>("wait");
  functions.add<elapsed>("elapsed");
  functions.add<finished>("finished");
  functions.add<begin>("begin");
  functions.add<end>("end");
  functions.add<launch>("launch");
}

}  // namespace imago
