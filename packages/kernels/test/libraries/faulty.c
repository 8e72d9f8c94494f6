/* A table with the fault that IMAGO_TEST_FAULT names; every call of imago_kernels makes it anew. */
#include <imago/kernel.h>
#include <stdlib.h>
#include <string.h>

static int nothing(const imago_call* call) { return call == NULL; }

static imago_scalar_spec scalars[IMAGO_MAX_SCALARS + 1];
static imago_buffer_spec buffers[IMAGO_MAX_BUFFERS + 1];
static imago_kernel first, second;
static const imago_kernel* kernels[2];
static imago_library library;

static const char long_name[] = "a_name_of_sixty_four_characters_is_one_too_many_for_the_registry";

const imago_library* imago_kernels(void) {
  const char* const fault = getenv("IMAGO_TEST_FAULT");
#define FAULT(name) if (strcmp(fault, name) == 0)
  memset(scalars, 0, sizeof scalars);
  memset(buffers, 0, sizeof buffers);
  scalars[0] = (imago_scalar_spec){"n", IMAGO_SIZE};
  scalars[1] = (imago_scalar_spec){"rate", IMAGO_REAL};
  buffers[0] = (imago_buffer_spec){"x", IMAGO_F32, 0, 1, {0, -1, -1, -1}};
  buffers[1] = (imago_buffer_spec){"y", IMAGO_F32, 0, 1, {0, 0, 0, 0}};
  first = (imago_kernel){sizeof(imago_kernel), "first", 2, buffers, 2, scalars, nothing, NULL};
  second = first;
  second.name = "second";
  kernels[0] = &first;
  kernels[1] = &second;
  library = (imago_library){IMAGO_ABI_VERSION, sizeof library, "faulty", "0", 2, kernels};

  FAULT("null") return NULL;
  FAULT("abi") library.abi_version = 1;
  FAULT("abi future") library.abi_version = 3;
  FAULT("library size") library.struct_size = 16;
  FAULT("library name") library.name = NULL;
  FAULT("library control") library.name = "a\nb";
  FAULT("library version") library.version = "";
  FAULT("no kernels") library.kernel_count = 0;
  FAULT("too many kernels") library.kernel_count = (size_t)1 << 40;
  FAULT("kernels null") library.kernels = NULL;
  FAULT("kernel null") kernels[1] = NULL;
  FAULT("kernel size") second.struct_size = 24;
  FAULT("kernel before cpu") second.struct_size = offsetof(imago_kernel, cpu);
  FAULT("kernel name null") second.name = NULL;
  FAULT("kernel name empty") second.name = "";
  FAULT("kernel name upper") second.name = "Second";
  FAULT("kernel name digit") second.name = "2nd";
  FAULT("kernel name long") second.name = long_name;
  FAULT("kernel name taken") second.name = "soft_target_loss";
  FAULT("kernel name twice") second.name = "first";
  FAULT("buffer count") second.buffer_count = IMAGO_MAX_BUFFERS + 1;
  FAULT("no buffers") second.buffer_count = 0;
  FAULT("buffers null") second.buffers = NULL;
  FAULT("scalar count") second.scalar_count = IMAGO_MAX_SCALARS + 1;
  FAULT("scalars null") second.scalars = NULL;
  FAULT("scalar name") scalars[1].name = "learning rate";
  FAULT("scalar kind") scalars[1].kind = (imago_scalar_kind)7;
  FAULT("buffer name") buffers[1].name = NULL;
  FAULT("buffer named as scalar") buffers[1].name = "rate";
  FAULT("no types") buffers[1].types = 0;
  FAULT("unknown type") buffers[1].types = IMAGO_F32 | 1u << 20;
  FAULT("no length") buffers[1].count = 0;
  FAULT("factor range") buffers[1].factors[2] = 2;
  FAULT("factor negative") buffers[1].factors[2] = -2;
  FAULT("factor real") buffers[1].factors[1] = 1;
  FAULT("no function") second.cpu = NULL;
  return &library;
}
