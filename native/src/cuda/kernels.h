// The kernels that src/cuda has, one .cu each; their descriptions are those of the registry.
#pragma once

#define IMAGO_CUDA_KERNELS(X) \
  X(softmax)                  \
  X(soft_target_loss)         \
  X(cross_entropy)            \
  X(kl_divergence)            \
  X(logit_regression)         \
  X(reverse_kl)               \
  X(js_divergence)            \
  X(total_variation)          \
  X(dkd)                      \
  X(dist)                     \
  X(top_k_soft_target_loss)   \
  X(linear_soft_target_loss)  \
  X(sgd)                      \
  X(adamw)                    \
  X(ema)                      \
  X(squared_norm)             \
  X(dropout_mask)             \
  X(dropout)                  \
  X(gaussian_noise)           \
  X(jitter)                   \
  X(convert_half)             \
  X(top_k)                    \
  X(covariance)
