# SPDX-License-Identifier: Apache-2.0
#
# make             build build/talkie and say what it was built with
# make test        install what is missing, build, run every test
# make help        all targets and settings
#
# Settings: CUDA=0 (without CUDA), CUDA_HOME=dir, ARCHES="90a 100a" (GPUs to build for), MEDIA=0 (without libav*:
# reads and writes no media), SPEECH=0 (without flite and pocketsphinx: nobody speaks, no word is heard),
# PROVENANCE=0 (without libcbor and OpenSSL: no clip is signed or verified), CAMEO=0 (without libsodium: nobody
# lends a likeness), FILTERS=0 (without ICU: makes nothing where there is a policy), LETTERS=0 (without tesseract:
# no text is read in pictures), SAN=1 (address and undefined behaviour sanitizers, build/san), SAN=thread (thread
# sanitizer, build/tsan), DEBUG=1 (assertions, -Og, build/debug), ASSERT=1 (assertions, -O3, build/assert), SECONDS=60 (make fuzz: of each target),
# ARCH=x86-64-v3 (default: this machine), BUILD=dir, V=1 (show the commands), T=core/device/test_pool (only tests
# whose name holds this), JOBS=1 (tests at a time), PREFIX, DESTDIR.

MAKEFLAGS += --no-builtin-rules
# As many commands at a time as there are cores, unless -j says otherwise.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += -j$(or $(shell nproc 2>/dev/null),1)
endif
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:

ifeq ($(origin CC),default)
CC := gcc
endif
ifeq ($(origin AR),default)
AR := gcc-ar
endif
ifeq ($(origin CXX),default)
CXX := g++
endif
ARCH ?= native
PREFIX ?= /usr/local
V ?= 0
Q := $(if $(filter 0,$(V)),@,)
say = $(if $(filter 0,$(V)),@printf '  %-5s %s\n' '$(1)' '$(2)',@:)

# -fno-math-errno and -fno-trapping-math let loops over sqrt and selects vectorize; they change no
# value. -ffast-math would: it is not used.
WARN  := -Wall -Wextra -Wno-format-truncation -Wstrict-prototypes -Wmissing-prototypes \
	-Wstrict-aliasing=2 -Wshadow -Wvla -Wconversion -Werror=implicit-function-declaration
OPENMP := -fopenmp
MODE  := -O3 -march=$(ARCH) -DNDEBUG
BUILD ?= build
# As seen from here, however it is written: the name is in the flags, and other flags are another build.
override BUILD := $(patsubst $(CURDIR)/%,%,$(abspath $(BUILD)))
OUT   := $(BUILD)
ifneq ($(filter 1,$(DEBUG)),)
MODE  := -Og -march=$(ARCH)
OUT   := $(BUILD)/debug
endif
ifneq ($(filter 1,$(SAN)),)
MODE  := -O1 -march=$(ARCH) -fsanitize=address,undefined -fno-sanitize-recover=undefined \
	-fno-omit-frame-pointer
OUT   := $(BUILD)/san
endif
ifneq ($(filter 1,$(ASSERT)),)
MODE  := -O3 -march=$(ARCH)
OUT   := $(BUILD)/assert
endif
# The thread sanitizer does not see how libgomp's threads wait for each other: loops run on one thread
# there, and what is looked at are the threads of our own.
ifneq ($(filter thread,$(SAN)),)
MODE  := -O1 -march=$(ARCH) -fsanitize=thread -fno-omit-frame-pointer
OPENMP := -Wno-unknown-pragmas
OUT   := $(BUILD)/tsan
endif
# By clang, for make fuzz; warnings are gcc's business.
ifneq ($(filter 1,$(FUZZ)),)
MODE  := -O1 -march=$(ARCH) -fsanitize=address,undefined,fuzzer-no-link \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer -D__SANITIZE_ADDRESS__
WARN  := -w
OPENMP :=
OUT   := $(BUILD)/fuzz
endif

# Libraries ---------------------------------------------------------------------------------------
# name|pkg-config module|what for. oneDNN comes without a module: its header is looked for.
HDF5 := $(shell pkg-config --exists hdf5-serial 2>/dev/null && echo hdf5-serial || echo hdf5)
# What a build can do without, with modules of its own or none.
SPARED := MEDIA SPEECH LETTERS PROVENANCE CAMEO FILTERS
MEDIA  ?= 1
SPEECH ?= 1
LETTERS ?= 1
PROVENANCE ?= 1
CAMEO   ?= 1
FILTERS ?= 1
MODULES_MEDIA := libavformat libavcodec libavutil libavfilter libswscale libswresample
MODULES_PROVENANCE := libcbor libcrypto
MODULES_CAMEO := libsodium
MODULES_FILTERS := icu-uc icu-i18n
MODULES := ompi-c $(HDF5) yaml-0.1 $(foreach s,$(SPARED),$(if $(filter 0,$($(s))),,$(MODULES_$(s)))) cairo-ft fontconfig \
	jansson libxxhash kissfft-float
HAVE := $(strip $(foreach m,$(MODULES),$(shell pkg-config --exists $(m) 2>/dev/null && echo $(m))))
LACK := $(filter-out $(HAVE),$(MODULES))
DNNL := $(shell printf '\043include <dnnl.h>\n' | $(CC) -E -xc - >/dev/null 2>&1 && echo yes)
LACK += $(if $(DNNL),,oneDNN)
# libfec comes without a module as well.
FEC := $(shell printf '\043include <fec.h>\n' | $(CC) -E -xc - >/dev/null 2>&1 && echo yes)
LACK += $(if $(FEC),,libfec)
# LAPACK's reference implementation, statically: other ones, which may stand in for it at run time,
# compute other bits on other numbers of threads (data/codec/pca.c).
NETLIB := lapacke lapack-netlib blas-netlib
LACK   += $(foreach m,$(NETLIB),$(shell pkg-config --exists $(m) 2>/dev/null || echo $(m)))
LAPACK := -l:liblapacke.a -l:lapack/liblapack.a -l:blas/libblas.a -l:libgfortran.so.5
# flite comes without a module; its voices are libraries of their own. pocketsphinx is loaded by
# infer/judges/sound/sphinx.c when a judge hears words.
ifneq ($(SPEECH),0)
FLITE        := $(shell printf '\043include <flite/flite.h>\n' | $(CC) -E -xc - >/dev/null 2>&1 && echo yes)
FLITE_LIBS   := $(addprefix -lflite_,$(addprefix cmu_us_,slt rms awb kal16) usenglish cmulex) -lflite
SPHINX       := $(shell pkg-config --exists pocketsphinx 2>/dev/null && echo yes)
SPHINX_MODEL := $(if $(SPHINX),$(shell pkg-config --variable=modeldir pocketsphinx)/en-us)
SPHINX_FLAGS := $(if $(SPHINX),$(patsubst -I%,-isystem %,$(shell pkg-config --cflags pocketsphinx)))
LACK         += $(if $(FLITE),,flite) $(if $(SPHINX),,pocketsphinx) \
	$(if $(wildcard $(SPHINX_MODEL)/en-us/mdef),,pocketsphinx-en-us)
endif
# Text in pictures is read by tesseract, which infer/judges/sight/letters.c loads.
ifneq ($(LETTERS),0)
TESSERACT      := $(shell pkg-config --exists tesseract 2>/dev/null && echo yes)
TESSERACT_DATA := $(patsubst %/eng.traineddata,%,$(firstword $(wildcard $(addsuffix /eng.traineddata, \
	$(TESSDATA_PREFIX) /usr/share/tesseract-ocr/5/tessdata /usr/share/tessdata /usr/local/share/tessdata))))
TESSERACT_FLAGS := $(if $(TESSERACT),$(patsubst -I%,-isystem %,$(shell pkg-config --cflags tesseract)))
LACK           += $(if $(TESSERACT),,tesseract) $(if $(TESSERACT_DATA),,tesseract-ocr-eng)
endif
comma := ,
space := $(subst x,,x x)
version = $(shell pkg-config --modversion $(1) 2>/dev/null)

# As system headers: what their macros do is not warned about.
PKG_CFLAGS := $(if $(HAVE),$(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(HAVE))))
# libavfilter is loaded by data/media/avfilter.c when a picture needs it.
LINKED     := $(filter-out libavfilter,$(HAVE))
pkg_libs    = $(if $(1),$(shell pkg-config --libs $(1)))
PKG_LIBS   := $(call pkg_libs,$(LINKED))

# CUDA: the compiler of kernels, where there is one; CUDA=0 leaves the device "cuda" out. cudart is linked
# statically, the driver and the other libraries are loaded when a device opens: the program starts
# where none of them is.
NVCC      := $(or $(wildcard $(addsuffix /bin/nvcc,$(CUDA_HOME))),$(shell command -v nvcc 2>/dev/null), \
	$(wildcard /usr/local/cuda/bin/nvcc))
NVCC      := $(firstword $(NVCC))
CUDA      ?= $(if $(NVCC),1,0)
ARCHES    ?= 90a
ifneq ($(filter 5% 6% 7%,$(ARCHES)),)
$(error ARCHES=$(ARCHES): kernels need compute capability 8.0 or later)
endif
ifneq ($(CUDA),0)
CUDA_HOME   ?= $(realpath $(shell $(NVCC) --dryrun -x cu /dev/null 2>&1 | sed -n 's/^\#\$$ TOP=//p'))
# Several ranks on GPUs need NCCL, which is a package of its own.
NCCL_H      := $(firstword $(wildcard $(CUDA_HOME)/include/nccl.h /usr/include/nccl.h))
NCCL        := $(if $(NCCL_H),$(shell sed -nE 's/^.define NCCL_(MAJOR|MINOR|PATCH) +([0-9]+).*/\2/p' $(NCCL_H) 2>/dev/null))
# Attention by cuDNN likewise; without it attention is our own.
CUDNN_H     := $(firstword $(wildcard $(CUDA_HOME)/include/cudnn.h /usr/include/cudnn.h))
CUDNN       := $(if $(CUDNN_H),$(shell sed -nE 's/^.define CUDNN_(MAJOR|MINOR|PATCHLEVEL) +([0-9]+).*/\2/p' $(dir $(CUDNN_H))cudnn_version.h 2>/dev/null))
CUDA_CFLAGS := -DTK_CUDA $(if $(NCCL_H),-DTK_NCCL) $(if $(CUDNN_H),-DTK_CUDNN) -isystem $(CUDA_HOME)/include
CUDA_LIBS   := $(firstword $(wildcard $(CUDA_HOME)/lib*/libcudart_static.a)) -ldl -lrt
NVCC_FLAGS  := -std=c++17 -O3 -lineinfo -Xptxas -v,-warn-spills -Xcompiler -Wall,-Wextra,-fno-threadsafe-statics \
	$(foreach a,$(ARCHES),-gencode arch=compute_$(a),code=sm_$(a))
endif

CPPFLAGS += -I. -I$(OUT) $(CUDA_CFLAGS)
CFLAGS   ?= -g
BASE     := -std=gnu11 -ffp-contract=fast -fno-math-errno -fno-trapping-math $(OPENMP) -pthread \
	-ffile-prefix-map=$(CURDIR)/=
FLAGS    := $(BASE) $(MODE) $(WARN) $(CFLAGS) $(PKG_CFLAGS)
# Programs of tests are many: half the time for the compiler, a quarter for the linker, where there is another.
TESTED   := $(if $(filter -O3,$(MODE)),-O2)
LD_TESTS := $(if $(shell command -v ld.lld 2>/dev/null),-fuse-ld=lld)
OTHERS   := -ldnnl -lfec -fopenmp -pthread $(CUDA_LIBS) -lm
LIBS     := $(LAPACK) $(PKG_LIBS) $(FLITE_LIBS) $(OTHERS)

# Files -------------------------------------------------------------------------------------------
FOLDERS  := core parallel data train infer
SRC      := $(foreach d,$(FOLDERS),$(wildcard $(d)/*.c $(d)/*/*.c $(d)/*/*/*.c $(d)/*/*/*/*.c))
SRC      := $(if $(NCCL_H),$(SRC),$(filter-out parallel/nccl/%,$(SRC)))
SRC      := $(if $(CUDNN_H),$(SRC),$(filter-out core/device/cuda/cudnn/%,$(SRC)))
# The files by which a build does each of them, and those in their place.
BY_MEDIA      := $(patsubst %,data/media/%.c,avfilter bytes filter hear loudness muxer packets picture poster read sound track write)
NO_MEDIA      := data/media/none.c
BY_SPEECH     := data/speech/flite.c infer/judges/sound/sphinx.c
NO_SPEECH     := data/speech/none.c infer/judges/sound/deaf.c
BY_LETTERS    := infer/judges/sight/letters.c
NO_LETTERS    := infer/judges/sight/blind.c
BY_PROVENANCE := $(filter-out %/none.c %/boxes.c,$(wildcard infer/provenance/*.c))
NO_PROVENANCE := infer/provenance/none.c
BY_CAMEO      := infer/cameo/seal.c
NO_CAMEO      := infer/cameo/none.c
BY_FILTERS    := infer/filter/fold.c infer/filter/pattern.c
NO_FILTERS    := infer/filter/none.c
SRC      := $(filter-out $(foreach s,$(SPARED),$(if $(filter 0,$($(s))),$(BY_$(s)),$(NO_$(s)))),$(SRC))
ifeq ($(CUDA),0)
SRC      := $(filter-out core/device/cuda/%,$(SRC))
else
KERNELS  := $(wildcard core/device/cuda/kernels/*.cu)
endif
OBJ      := $(SRC:%.c=$(OUT)/%.o) $(KERNELS:%.cu=$(OUT)/%.cu.o)
LIB      := $(OUT)/libtalkie.a
PROGRAM  := $(OUT)/talkie
CEILING  := $(OUT)/gemm_ceiling
TEST_SRC := $(filter-out tests/cuda/%,$(wildcard tests/*/test_*.c tests/*/*/test_*.c))
FAULTY   := $(OUT)/tests/support/faulty
JSON     := $(OUT)/tests/support/json
TARGETS  := $(patsubst %,$(OUT)/tests/fuzz/%.o,targets product cameos foreign)
FUZZER   := $(OUT)/fuzzer
SUPPORT  := $(filter-out $(FAULTY).o $(JSON).o,$(patsubst %.c,$(OUT)/%.o,$(wildcard tests/support/*.c)))
TESTS    := $(TEST_SRC:%.c=$(OUT)/%)
STYLED   := $(SRC) $(wildcard *.c scripts/*.c $(foreach d,$(FOLDERS) tests,$(d)/*.h $(d)/*/*.h $(d)/*/*/*.h $(d)/*/*/*/*.h) \
	tests/*/*.c tests/*/*/*.c tests/cuda/standin/*.cc tests/cuda/*.cu core/device/cuda/kernels/*.cu core/device/cuda/kernels/*.cuh)

# The device "cuda" where there is no GPU: kernels compiled for the host (tests/cuda/standin/dialect.h), the
# other objects as they are, and stand-ins of tests/cuda/standin/ in the place of CUDA's libraries: the
# runtime's linked, the others loaded from lib/. Tests whose header says "cuda: too" and those of tests/cuda
# are linked with it.
ifneq ($(CUDA),0)
CXX_FLAGS := -std=c++17 -fno-exceptions -fno-rtti -ffp-contract=fast -pthread \
	-ffile-prefix-map=$(CURDIR)/= $(MODE) -Wall -Wextra -Wno-unknown-pragmas -Wno-maybe-uninitialized $(CFLAGS)
EMULATED     := $(OUT)/emulated
EMULATED_OBJ := $(KERNELS:%.cu=$(EMULATED)/%.cu.o)
EMULATED_LIB := $(EMULATED)/libtalkie.a
STAND_INS    := $(patsubst %.cc,$(EMULATED)/%.o,$(wildcard tests/cuda/standin/*.cc)) \
	$(patsubst %.c,$(OUT)/%.o,$(wildcard tests/cuda/standin/cudart*.c)) \
	$(patsubst %.cu,$(EMULATED)/%.cu.o,$(wildcard tests/cuda/*.cu))
# name of the library: the stand-in's sources
stand_in      = $(if $(wildcard tests/cuda/standin/$(1)*.c),$(EMULATED)/lib/$(2))
EMULATED_DL  := $(call stand_in,cublaslt,libcublasLt.so.13) $(call stand_in,nccl,libnccl.so.2) \
	$(if $(CUDNN_H),$(call stand_in,cudnn,libcudnn.so.9)) $(EMULATED)/driver/libcuda.so.1
SANITIZED      := $(EMULATED)/sanitized
SANITIZED_OBJ  := $(KERNELS:%.cu=$(SANITIZED)/%.o) $(SANITIZED)/tests/cuda/standin/dialect.o $(SANITIZED)/tests/cuda/standin/fiber.o
SANITIZED_TEST := $(SANITIZED)/test_ops_conformance
SANITIZERS     := -fsanitize=address,undefined -fno-sanitize-recover=undefined
EMULATED_TESTS := $(patsubst %.c,$(EMULATED)/%,$(wildcard tests/cuda/test_*.c) \
	$(shell grep -lE '^/\*TEST .*cuda: too' $(TEST_SRC) 2>/dev/null))
endif

# What travels to a machine that has nothing (scripts/gpu_check.sh): the program and the tests of devices,
# without libav*, signatures, cameos, filters and what hears words or reads them.
CARRIED       := $(OUT)/carried
objects       = $(patsubst %.c,$(OUT)/%.o,$(1))
UNCARRIED     := MEDIA LETTERS PROVENANCE CAMEO FILTERS
CARRIED_OBJ   := $(filter-out $(call objects,$(foreach s,$(UNCARRIED),$(BY_$(s))) infer/judges/sound/sphinx.c),$(OBJ)) \
	$(call objects,$(foreach s,$(UNCARRIED),$(NO_$(s))) infer/judges/sound/deaf.c)
CARRIED_TESTS := $(patsubst %.c,$(CARRIED)/%,$(shell grep -lE '^/\*TEST .*cuda: too' $(TEST_SRC) 2>/dev/null))

# Only the programs it asks for, where T is a path: other words may be those of a run's name.
asked = $(if $(findstring /,$(T)),$(foreach t,$(1),$(if $(findstring $(firstword $(T)),$(t)),$(t))),$(1))

.PHONY: all tests test carried without emulated emulated-program run-tests campaign kills long campaign-mark speech sanitize run-sanitize mutate schedules fuzz run-fuzz race run-race demo bench check format docs plans install clean help setup features FORCE

all: features $(PROGRAM) $(CEILING)
	@printf '\n%s is ready: %s --help\n' '$(PROGRAM)' '$(PROGRAM)'

# With the objects that tests link in the place of others: several of them make at a time.
tests: $(TESTS) $(FAULTY) $(JSON) emulated $(if $(SAN),,$(call objects,$(foreach s,$(SPARED),$(NO_$(s)))))

# What the build found. Anything missing stops it here, with the remedy.
features:
	@printf 'talkie: %s, -march=%s%s\n' "`$(CC) --version 2>/dev/null | head -n 1`" '$(ARCH)' \
		'$(if $(SAN)$(FUZZ), with sanitizers)$(if $(filter 1,$(DEBUG) $(ASSERT)), with assertions)'
	@printf '  Open MPI %s, HDF5 %s, libyaml %s, oneDNN %s, LAPACK %s\n' '$(or $(call version,ompi-c),missing)' \
		'$(or $(call version,$(HDF5)),missing)' '$(or $(call version,yaml-0.1),missing)' \
		'$(if $(DNNL),found,missing)' '$(or $(call version,lapack-netlib),missing)'
	@printf '  %s, cairo %s, jansson %s, xxhash %s\n' \
		'$(if $(filter 0,$(MEDIA)),without media,libavcodec $(or $(call version,libavcodec),missing))' '$(or $(call version,cairo-ft),missing)' \
		'$(or $(call version,jansson),missing)' '$(or $(call version,libxxhash),missing)'
	@printf '  %s\n' '$(if $(filter 0,$(SPEECH)),without speech,flite $(if $(FLITE),found,missing)$(comma) pocketsphinx $(or $(call version,pocketsphinx),missing))'
	@printf '  %s\n' '$(if $(filter 0,$(PROVENANCE)),without signatures,libcbor $(or $(call version,libcbor),missing)$(comma) OpenSSL $(or $(call version,libcrypto),missing))'
	@printf '  %s\n' '$(if $(filter 0,$(CAMEO)),without cameos,libsodium $(or $(call version,libsodium),missing))'
	@printf '  %s\n' '$(if $(filter 0,$(FILTERS)),without filters,ICU $(or $(call version,icu-i18n),missing))'
	@printf '  %s\n' '$(if $(filter 0,$(LETTERS)),without letters,tesseract $(or $(call version,tesseract),missing))'
	@printf '  %s\n' '$(if $(filter 0,$(CUDA)),without CUDA,$(lastword $(shell $(NVCC) --version)) for sm_$(ARCHES)$(comma) \
		$(if $(NCCL_H),NCCL $(subst $(space),.,$(strip $(NCCL))),without NCCL (nccl.h is missing): one rank on a GPU)$(comma) \
		$(if $(CUDNN_H),cuDNN $(subst $(space),.,$(strip $(CUDNN))),without cuDNN (cudnn.h is missing): our own attention))'
ifneq ($(strip $(LACK)),)
	@printf '\nMissing: %s\nscripts/setup.sh installs it.\n' '$(strip $(LACK))'; exit 1
endif

# Compiling -----------------------------------------------------------------------------------------
# An object depends on the file of flags, which changes only when the flags do.
$(OUT)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(CC) $(CPPFLAGS) $(FLAGS) $(CXX) $(CXX_FLAGS)' >$@.new
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@

$(BUILD)/nvcc.flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(NVCC) $(NVCC_FLAGS)' | cmp -s - $@ || printf '%s\n' '$(NVCC) $(NVCC_FLAGS)' >$@

$(OUT)/revision.h: FORCE
	@mkdir -p $(@D)
	@r=`git describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null || echo unknown`; \
	printf '#define TK_REVISION "%s"\n' "$$r" | cmp -s - $@ || printf '#define TK_REVISION "%s"\n' "$$r" >$@

$(OUT)/core/base/version.o: $(OUT)/revision.h
# The bits of random numbers do not depend on whether a processor has fused multiply-add.
$(OUT)/core/numbers/rng.o: EXTRA := -ffp-contract=off
$(BUILD)/core/device/cuda/kernels/noise.cu.o: EXTRA := -fmad=false
$(OUT)/emulated/core/device/cuda/kernels/noise.cu.o: EXTRA := -ffp-contract=off
$(OUT)/tests/%.o: EXTRA := $(TESTED)
$(OUT)/infer/judges/sound/sphinx.o: EXTRA := $(SPHINX_FLAGS) -DTK_SPHINX_MODEL='"$(SPHINX_MODEL)"'
$(OUT)/infer/judges/sight/letters.o: EXTRA := $(TESSERACT_FLAGS) -DTK_TESSERACT_DATA='"$(TESSERACT_DATA)"'
$(OUT)/infer/gallery/pages.o: $(wildcard infer/gallery/site/*)
$(OUT)/core/device/cuda/open.o: EXTRA := -DTK_CUDA_ARCHES='"$(strip $(ARCHES))"'

$(OUT)/%.o: %.c $(OUT)/flags | features
	@mkdir -p $(@D)
	$(call say,cc,$<)
	$(Q)$(CC) $(CPPFLAGS) $(FLAGS) $(EXTRA) -MMD -MP -c -o $@ $<

# What ptxas says of registers, shared memory and spills lies beside the object. Sanitizers and
# assertions are nothing to nvcc: objects of other builds are copies.
$(BUILD)/%.cu.o: %.cu $(BUILD)/nvcc.flags | features
	@mkdir -p $(@D)
	$(call say,nvcc,$<)
	$(Q)$(NVCC) $(NVCC_FLAGS) $(EXTRA) -I. -MMD -MP -MF $(@:.o=.d) -c -o $@ $< >$(@:.o=.ptxas) 2>&1 || \
		{ cat $(@:.o=.ptxas) >&2; exit 1; }
	@! grep -wE 'warning|error' $(@:.o=.ptxas) >&2 || { rm -f $@; exit 1; }
ifneq ($(OUT),$(BUILD))
$(OUT)/%.cu.o: $(BUILD)/%.cu.o
	@mkdir -p $(@D)
	$(Q)cp $< $@ && cp $(<:.o=.ptxas) $(@:.o=.ptxas)
endif

# Assertions are in few files: where none is, an object is a copy of the plain build's.
ifneq ($(filter 1,$(ASSERT)),)
ASSERTING := $(call objects,$(shell grep -lw tk_assert $(SRC)))
COPIED    := $(filter-out $(ASSERTING),$(SRC:%.c=$(OUT)/%.o) $(OUT)/talkie.o $(addsuffix .o,$(call asked,$(TESTS))) \
	$(SUPPORT) $(FAULTY).o $(JSON).o $(EMULATED_OBJ) $(STAND_INS))
PLAIN     := $(COPIED:$(OUT)/%=$(BUILD)/%)
.PHONY: plain
plain:
	@$(MAKE) --no-print-directory $(if $(Q),-s) ASSERT=0 $(PLAIN)
$(PLAIN): plain ; @:
$(COPIED): $(OUT)/%.o: $(BUILD)/%.o
	@mkdir -p $(@D)
	@cp $< $@
endif

# Built afresh, so that objects of removed files do not linger.
$(LIB): $(OBJ)
	$(call say,ar,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(PROGRAM): $(OUT)/talkie.o $(LIB)
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

# What bench measures against: a program that shares no code with talkie.
$(CEILING): scripts/gemm_ceiling.c $(OUT)/flags
	$(call say,cc,$<)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $< -ldnnl -fopenmp

# What the campaign of marks needs beside talkie and ffmpeg.
$(OUT)/mark_trial: scripts/mark_trial.c $(LIB)
	$(call say,cc,$<)
	$(Q)$(CC) $(CPPFLAGS) $(FLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(OUT)/tests/%: $(OUT)/tests/%.o $(SUPPORT) $(LIB)
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(LD_TESTS) -o $@ $(filter %.o,$^) $(LIB) -lcmocka $(LIBS)

$(OUT)/tests/fuzz/test_replay: $(TARGETS)

$(FUZZER): $(OUT)/tests/fuzz/fuzzer.o $(TARGETS) $(OUT)/tests/support/clips.o $(LIB)
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $^ $(LIBS)

# The command table with a main of the tests' own.
$(FAULTY): $(FAULTY).o $(OUT)/talkie.o $(LIB)
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(LD_TESTS) -o $@ $^ $(LIBS) -ldl

$(JSON): $(JSON).o
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(LD_TESTS) -o $@ $^ $(call pkg_libs,jansson)

# The program without one of what can be spared each, out of the same objects (tests/scripts/test_without.sh).
without: $(SPARED:%=$(OUT)/without/%)

define without_one
$(OUT)/without/$(1): $(OUT)/talkie.o $(filter-out $(call objects,$(BY_$(1))),$(OBJ)) $(call objects,$(NO_$(1)))
	$$(call say,ld,$$@)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(FLAGS) $$(LDFLAGS) $$(LD_TESTS) -o $$@ $$^ $$(LAPACK) $$(call pkg_libs,$$(filter-out $(MODULES_$(1)),$$(LINKED))) \
		$(if $(filter SPEECH,$(1)),,$$(FLITE_LIBS)) $$(OTHERS)
endef
$(foreach s,$(SPARED),$(eval $(call without_one,$(s))))

carried: $(CARRIED)/talkie $(CARRIED_TESTS)

$(CARRIED)/libtalkie.a: $(CARRIED_OBJ)
	$(call say,ar,$@)
	@mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

CARRIED_LIBS = $(LAPACK) $(call pkg_libs,$(filter-out $(foreach s,$(UNCARRIED),$(MODULES_$(s))),$(LINKED))) $(FLITE_LIBS) $(OTHERS)

$(CARRIED)/talkie: $(OUT)/talkie.o $(CARRIED)/libtalkie.a
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) -o $@ $^ $(CARRIED_LIBS)

$(CARRIED)/tests/%: $(OUT)/tests/%.o $(SUPPORT) $(CARRIED)/libtalkie.a
	$(call say,ld,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(LD_TESTS) -o $@ $(filter %.o,$^) $(CARRIED)/libtalkie.a -lcmocka $(CARRIED_LIBS)

emulated-program: $(if $(EMULATED),$(EMULATED)/talkie $(EMULATED_DL))
emulated: emulated-program $(if $(EMULATED),$(EMULATED_TESTS) $(EMULATED)/commands $(if $(SAN),,$(SANITIZED_TEST)))

# Kernels and stand-ins are C++ for the host; RPATH, which comes before LD_LIBRARY_PATH, finds the other
# stand-ins.
ifneq ($(EMULATED),)
$(EMULATED)/%.cu.o: %.cu $(OUT)/flags | features
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(CXX) $(CPPFLAGS) $(CXX_FLAGS) $(EXTRA) -include tests/cuda/standin/dialect.h -MMD -MP -c -o $@ -x c++ $<

$(EMULATED)/%.o: %.cc $(OUT)/flags | features
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(CXX) $(CPPFLAGS) $(CXX_FLAGS) -MMD -MP -c -o $@ $<

$(EMULATED_LIB): $(EMULATED_OBJ) $(STAND_INS) $(LIB)
	$(call say,ar,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(filter-out $(KERNELS:%.cu=$(OUT)/%.cu.o),$(OBJ)) $(EMULATED_OBJ) $(STAND_INS)

EMULATED_LIBS := $(EMULATED_LIB) $(filter-out %/libcudart_static.a,$(LIBS)) \
	-Wl,--disable-new-dtags,-rpath,$(abspath $(EMULATED)/lib) '-Wl,--export-dynamic-symbol=standin_*'

$(EMULATED)/talkie: $(OUT)/talkie.o $(EMULATED_LIB)
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(LD_TESTS) -o $@ $< $(EMULATED_LIBS)

$(EMULATED)/tests/%: $(OUT)/tests/%.o $(SUPPORT) $(EMULATED_LIB)
	$(call say,ld,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(FLAGS) $(LDFLAGS) $(LD_TESTS) -o $@ $(filter %.o,$^) -lcmocka $(EMULATED_LIBS)

$(EMULATED)/lib/libcublasLt.so.13: $(wildcard tests/cuda/standin/cublaslt*.c tests/cuda/standin/cublaslt*.h)
$(EMULATED)/lib/libnccl.so.2: $(wildcard tests/cuda/standin/nccl*.c tests/cuda/standin/nccl*.h)
$(EMULATED)/lib/libcudnn.so.9: $(wildcard tests/cuda/standin/cudnn*.c tests/cuda/standin/cudnn*.h)
$(EMULATED)/driver/libcuda.so.1: tests/cuda/standin/driver.c
$(EMULATED_DL): $(OUT)/flags
	@mkdir -p $(@D)
	$(call say,cc,$@)
	$(Q)$(CC) $(CPPFLAGS) $(FLAGS) $(LDFLAGS) -fPIC -shared -o $@ $(filter %.c,$^) $(PKG_LIBS) -lm

# The kernels and what runs their threads once more, under the address and undefined-behaviour sanitizers, with the
# conformance of operators: what of make SAN=1 fits into make test.
sanitized = $(CXX) $(CPPFLAGS) $(CXX_FLAGS) $(EXTRA) -O0 -g1 -w $(SANITIZERS) -MMD -MP -c -o $@
$(SANITIZED)/%.o: %.cu $(OUT)/flags | features
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(sanitized) -include tests/cuda/standin/dialect.h -x c++ $<

$(SANITIZED)/%.o: %.cc $(OUT)/flags | features
	@mkdir -p $(@D)
	$(call say,c++,$<)
	$(Q)$(sanitized) $<

$(SANITIZED_TEST): $(SANITIZED_OBJ) $(OUT)/tests/core/device/test_ops_conformance.o $(SUPPORT) $(EMULATED_LIB)
	$(call say,ld,$@)
	$(Q)$(CC) $(FLAGS) $(SANITIZERS) $(LDFLAGS) $(LD_TESTS) -o $@ $(filter %.o,$^) -lcmocka $(EMULATED_LIBS)

# How changed kernels are compiled and tested, for scripts/mutate.py: shell functions. An access beyond an
# array ends the test; what nobody has set is the same whatever was there before (with -O2 it may be 0).
CHANGED := $(CXX_FLAGS) -ffp-contract=off -O1 -g0 -w -fsanitize=bounds -fno-sanitize-recover=all \
	-ftrivial-auto-var-init=pattern
$(EMULATED)/commands: $(OUT)/flags Makefile
	@printf '%s\n' "compile() { $(CXX) -I\$$1 $(CPPFLAGS) $(CHANGED) -include tests/cuda/standin/dialect.h \
			-include \$$1/mutant.h -c -o \$$3 -x c++ \$$2; }" \
		"link_test() { out=\$$1 test=\$$2; shift 2; $(CC) $(FLAGS) -fsanitize=bounds $(LDFLAGS) -o \$$out \"\$$@\" $(OUT)/\$$test.o $(SUPPORT) -lcmocka $(EMULATED_LIBS); }" >$@
-include $(EMULATED_OBJ:.o=.d) $(SANITIZED_OBJ:.o=.d) $(STAND_INS:.o=.d) $(EMULATED_TESTS:$(EMULATED)/%=$(OUT)/%.d)
endif

.SECONDARY:
-include $(SRC:%.c=$(OUT)/%.d) $(KERNELS:%=$(BUILD)/%.d) $(OUT)/talkie.d $(TESTS:=.d) $(SUPPORT:.o=.d) $(FAULTY).d $(JSON).d $(TARGETS:.o=.d) $(OUT)/tests/fuzz/fuzzer.d

# Doing things with it --------------------------------------------------------------------------------
setup:
	@scripts/setup.sh

# Libraries that setup installs are seen by the make that starts after it.
test: setup
	@$(MAKE) --no-print-directory run-tests

run-tests: all $(call asked,$(TESTS) $(EMULATED_TESTS)) $(FAULTY) $(JSON) emulated-program \
	$(if $(findstring /,$(T)),$(if $(findstring cuda/,$(T)),emulated),tests)
	@TALKIE=$(PROGRAM) BUILD=$(OUT) SAN=$(SAN) JOBS=$(JOBS) scripts/run_tests.sh $(T)

# The cases of the cluster test that take minutes as well, and speech.
campaign: all speech kills long
	@scripts/setup.sh --cluster
	@TALKIE=$(PROGRAM) tests/cluster/test_cluster.sh all

# Workers of a spool are killed and stopped KILLS times, and such that sample SAMPLED_KILLS times; both go on where they
# were stopped. What docs/spool.md tells.
KILLS ?= 1000
SAMPLED_KILLS ?= 50
kills: $(OUT)/tests/infer/spool/test_kills all
	@$< $(KILLS) $(OUT)/kills.txt
	@BUILD=$(OUT) tests/infer/test_sampled_kills.sh $(SAMPLED_KILLS) $(OUT)/sampled_kills.txt

# Clips of so many seconds, made one after the other: the memory that each took (docs/campaign-long.md).
LENGTHS ?= 60 600 3600
long: all
	@TALKIE=$(PROGRAM) scripts/long.sh $(LENGTHS) >$(OUT)/long.txt
	@awk '{ printf "| %g | %d | %.1f | %.1f | %.1f | %.1f |\n", $$1 / 60, $$2, $$3, $$4, $$5, $$2 * 64 * 64 * 3 / 1048576 }' \
	    $(OUT)/long.txt | cat tests/infer/output/long.md - >docs/campaign-long.md

# What marks survive (docs/campaign-mark.md); goes on where it was stopped. SECONDS=600: stops then, and writes what
# there is. ONLY: rows, by a pattern of "seconds widthxheight attack". MODEL: weights, or clips of a model, to try as well;
# FOOTAGE: films in place of the one of tests/media.
campaign-mark: all $(OUT)/mark_trial
	@scripts/mark_campaign.py $(PROGRAM) $(OUT)/mark_trial $(OUT)/mark docs/campaign-mark.md \
	    $(if $(SECONDS),--seconds $(SECONDS)) $(if $(BLIND),--blind $(BLIND)) $(if $(CLIPS),--clips $(CLIPS)) \
	    $(if $(ONLY),--only '$(ONLY)') $(foreach m,$(MODEL),--model $(m)) $(foreach f,$(FOOTAGE),--footage $(f))

# How well judges of speech hear what voices say: all voices, all words; minutes.
SPEECH_TESTS := $(patsubst %,$(OUT)/tests/infer/judges/test_%,voice words)
speech: $(SPEECH_TESTS)
	@cp tests/infer/judges/speech.md $(OUT)/speech.md
	@for test in $(SPEECH_TESTS); do TK_TEST_FIGURES=$(OUT)/speech.md $$test || exit 1; done
	@mv $(OUT)/speech.md docs/speech.md

# All operators on the emulated GPU, streams, graphs, messages and whole runs of training on it under the address and
# undefined-behaviour sanitizers; takes long (docs/sanitizers.md).
SANITIZE := core/device/test_ops_conformance cuda/test_blas cuda/test_fold cuda/test_nccl cuda/test_choices \
	cuda/test_graph cuda/test_layouts cuda/test_runs
sanitize:
	@$(MAKE) --no-print-directory SAN=1 run-sanitize

run-sanitize: all tests
	@for test in $(or $(T),$(SANITIZE)); do \
		TALKIE=$(PROGRAM) BUILD=$(OUT) SAN=1 JOBS=$(JOBS) scripts/run_tests.sh $$test || exit 1; done

# Whether the tests of kernels find faults; goes on where it was stopped.
mutate: emulated
	@BUILD=$(OUT) scripts/mutate.py --jobs $(or $(JOBS),2) $(T)

# Training on emulated GPUs in SEEDS orders of each of eight layouts, other numbers in none.
SEEDS ?= 250
schedules: emulated
	TK_TEST_SEEDS=$(SEEDS) $(EMULATED)/tests/cuda/test_schedules
	bash -c '. scripts/env.sh 2; TK_TEST_SEEDS=$(SEEDS) exec mpirun -n 2 $(EMULATED)/tests/cuda/test_schedules'

# Each target of tests/fuzz for SECONDS, by clang and libFuzzer.
SECONDS ?= 60
fuzz:
	@scripts/setup.sh --fuzz
	@$(MAKE) --no-print-directory CC=clang-14 FUZZ=1 run-fuzz

run-fuzz: $(FUZZER)
	@scripts/fuzz.sh $(FUZZER) $(SECONDS) $(T)

# Threads of our own under the thread sanitizer.
RACES := core/base/test_mem core/base/test_status data/clip/test_clip data/clip/test_loader data/codec \
	data/import/test_import train/run/test_owner parallel/mpi/test_late
race:
	@$(MAKE) --no-print-directory SAN=thread run-race

run-race: $(PROGRAM) $(filter $(RACES:%=$(OUT)/tests/%) $(OUT)/tests/data/codec/%,$(TESTS))
	@for test in $(RACES); do \
		TALKIE=$(PROGRAM) BUILD=$(OUT) SAN=thread scripts/run_tests.sh $$test || exit 1; done

demo: setup
	@$(MAKE) --no-print-directory all
	@TALKIE=$(PROGRAM) scripts/demo.sh

# On the demo's clips; the pipeline, and the branches of guidance, on a core for each of two ranks.
BENCH_CLIPS := runs/demo/clips.h5
bench: all
	@mkdir -p $(dir $(BENCH_CLIPS))
	@[ -s $(BENCH_CLIPS) ] || $(PROGRAM) data world configs/demo.yaml -o $(BENCH_CLIPS)
	$(PROGRAM) bench configs/demo.yaml
	bash -c '. scripts/env.sh 2; exec mpirun -n 2 $(PROGRAM) bench configs/demo.yaml \
		parallel.pipeline=2 parallel.threads=1 train.microbatch=1'

check:
	@scripts/check_style.sh

format:
	@clang-format-14 -i $(STYLED)

docs: all
	@mkdir -p docs
	$(PROGRAM) --options >$(OUT)/options.md && mv $(OUT)/options.md docs/options.md

# The layouts of the largest config on three sizes of cluster; minutes.
plans: all
	@TALKIE=$(PROGRAM) scripts/plan_table.sh >$(OUT)/plan-h3-33b.md && mv $(OUT)/plan-h3-33b.md docs/

install: all
	install -D -m 755 $(PROGRAM) $(DESTDIR)$(PREFIX)/bin/talkie
	install -D -m 755 $(CEILING) $(DESTDIR)$(PREFIX)/bin/gemm_ceiling

clean:
	rm -rf $(BUILD)

help:
	@printf '%s\n' \
	'make             build $(PROGRAM)' \
	'make test        install what is missing, build, run every test (T=name, JOBS=1)' \
	'make campaign    every case on a real Slurm over five hosts of network namespaces (root, 10 minutes), speech' \
	'make kills       workers of a spool killed and stopped at every step of their protocol (KILLS=1000; minutes)' \
	'make long        write docs/campaign-long.md: memory of clips of 1, 10 and 60 minutes (LENGTHS="60 600" seconds)' \
	'make campaign-mark  write docs/campaign-mark.md: what marks survive (SECONDS=600, BLIND=1000, ONLY=CRF, CLIPS=8, MODEL=weights|clip.mp4, FOOTAGE=film; hours)' \
	'make speech      write docs/speech.md: what judges hear of all voices and words' \
	'make sanitize    the emulated GPU under the address and undefined-behaviour sanitizers (T=cuda/test_nccl)' \
	'make mutate      takes faults into kernels, one at a time: each must make a test fail (T=file, JOBS=2)' \
	'make schedules   training on emulated GPUs in 2,000 orders of their streams (SEEDS=1-250 of each layout)' \
	'make fuzz        libFuzzer on every reader of files, by clang (T=clip, SECONDS=60 each)' \
	'make race        the thread sanitizer on what has threads of its own: loader, codec, import, owner' \
	'make demo        install, build, sample a clip from weights/; make data, train on 4 ranks, sample; a page of both' \
	'make bench       measure against the GEMM rate, the disk, the plan and the pipeline schedules' \
	'make check       style: format, include order, lengths, licence lines' \
	'make format      clang-format all sources' \
	'make docs        write docs/options.md from the table of options' \
	'make plans       write docs/plan-h3-33b.md: layouts of the 33B model on 64, 512 and 4096 GPUs' \
	'make install     into $(DESTDIR)$(PREFIX)/bin (PREFIX, DESTDIR)' \
	'make clean       remove $(BUILD)' \
	'' \
	'SAN=1            address and undefined behaviour sanitizers, into build/san' \
	'SAN=thread       thread sanitizer, into build/tsan; OpenMP loops run on one thread there' \
	'DEBUG=1          assertions on, -Og, into build/debug' \
	'ASSERT=1         assertions on, -O3, into build/assert (make ASSERT=1 run-tests T=core/)' \
	'ARCH=x86-64-v3   instruction set (default: native, this machine)' \
	'BUILD=dir V=1    where to build; show the commands'
