import activation from '../../shaders/lib/activation.wgsl?raw';
import attentionBias from '../../shaders/lib/attention_bias.wgsl?raw';
import attentionWindow from '../../shaders/lib/attention_window.wgsl?raw';
import beamRow from '../../shaders/lib/beam_row.wgsl?raw';
import blockBest from '../../shaders/lib/block_best.wgsl?raw';
import blockBf16 from '../../shaders/lib/block_bf16.wgsl?raw';
import blockF16 from '../../shaders/lib/block_f16.wgsl?raw';
import blockF32 from '../../shaders/lib/block_f32.wgsl?raw';
import blockQ4 from '../../shaders/lib/block_q4.wgsl?raw';
import blockQ8 from '../../shaders/lib/block_q8.wgsl?raw';
import blockScale from '../../shaders/lib/block_scale.wgsl?raw';
import counts from '../../shaders/lib/counts.wgsl?raw';
import exponential from '../../shaders/lib/exponential.wgsl?raw';
import fitQ4 from '../../shaders/lib/fit_q4.wgsl?raw';
import fitQ8 from '../../shaders/lib/fit_q8.wgsl?raw';
import half from '../../shaders/lib/half.wgsl?raw';
import integersQ4 from '../../shaders/lib/integers_q4.wgsl?raw';
import integersQ8 from '../../shaders/lib/integers_q8.wgsl?raw';
import kvF16 from '../../shaders/lib/kv_f16.wgsl?raw';
import kvF32 from '../../shaders/lib/kv_f32.wgsl?raw';
import kvPages from '../../shaders/lib/kv_pages.wgsl?raw';
import kvQ8 from '../../shaders/lib/kv_q8.wgsl?raw';
import matmulStore from '../../shaders/lib/matmul_store.wgsl?raw';
import moments from '../../shaders/lib/moments.wgsl?raw';
import quadStore from '../../shaders/lib/quad_store.wgsl?raw';
import realF16 from '../../shaders/lib/real_f16.wgsl?raw';
import realF32 from '../../shaders/lib/real_f32.wgsl?raw';
import reduceSubgroup from '../../shaders/lib/reduce_subgroup.wgsl?raw';
import reduceTree from '../../shaders/lib/reduce_tree.wgsl?raw';
import rowsLoad from '../../shaders/lib/rows_load.wgsl?raw';
import rowsSubgroup from '../../shaders/lib/rows_subgroup.wgsl?raw';
import sampleRow from '../../shaders/lib/sample_row.wgsl?raw';
import segmentMemory from '../../shaders/lib/segment_memory.wgsl?raw';
import segmentSubgroup from '../../shaders/lib/segment_subgroup.wgsl?raw';
import spreadLoad from '../../shaders/lib/spread_load.wgsl?raw';
import spreadSubgroup from '../../shaders/lib/spread_subgroup.wgsl?raw';
import scale from '../../shaders/lib/scale.wgsl?raw';
import token from '../../shaders/lib/token.wgsl?raw';
import wide1 from '../../shaders/lib/wide_1.wgsl?raw';
import wide4 from '../../shaders/lib/wide_4.wgsl?raw';
import weightBf16 from '../../shaders/lib/weight_bf16.wgsl?raw';
import weightF16 from '../../shaders/lib/weight_f16.wgsl?raw';
import weightF32 from '../../shaders/lib/weight_f32.wgsl?raw';
import weightQ4 from '../../shaders/lib/weight_q4.wgsl?raw';
import weightQ8 from '../../shaders/lib/weight_q8.wgsl?raw';

/** Shared WGSL functions by the path that `//!include` names. */
export const SHADER_LIBRARY: Readonly<Record<string, string>> = {
  'lib/activation.wgsl': activation,
  'lib/attention_bias.wgsl': attentionBias,
  'lib/attention_window.wgsl': attentionWindow,
  'lib/beam_row.wgsl': beamRow,
  'lib/block_best.wgsl': blockBest,
  'lib/block_bf16.wgsl': blockBf16,
  'lib/block_f16.wgsl': blockF16,
  'lib/block_f32.wgsl': blockF32,
  'lib/block_q4.wgsl': blockQ4,
  'lib/block_q8.wgsl': blockQ8,
  'lib/block_scale.wgsl': blockScale,
  'lib/counts.wgsl': counts,
  'lib/exponential.wgsl': exponential,
  'lib/fit_q4.wgsl': fitQ4,
  'lib/fit_q8.wgsl': fitQ8,
  'lib/half.wgsl': half,
  'lib/integers_q4.wgsl': integersQ4,
  'lib/integers_q8.wgsl': integersQ8,
  'lib/kv_f16.wgsl': kvF16,
  'lib/kv_f32.wgsl': kvF32,
  'lib/kv_pages.wgsl': kvPages,
  'lib/kv_q8.wgsl': kvQ8,
  'lib/matmul_store.wgsl': matmulStore,
  'lib/moments.wgsl': moments,
  'lib/quad_store.wgsl': quadStore,
  'lib/real_f16.wgsl': realF16,
  'lib/real_f32.wgsl': realF32,
  'lib/reduce_subgroup.wgsl': reduceSubgroup,
  'lib/reduce_tree.wgsl': reduceTree,
  'lib/rows_load.wgsl': rowsLoad,
  'lib/rows_subgroup.wgsl': rowsSubgroup,
  'lib/sample_row.wgsl': sampleRow,
  'lib/segment_memory.wgsl': segmentMemory,
  'lib/segment_subgroup.wgsl': segmentSubgroup,
  'lib/spread_load.wgsl': spreadLoad,
  'lib/spread_subgroup.wgsl': spreadSubgroup,
  'lib/scale.wgsl': scale,
  'lib/token.wgsl': token,
  'lib/wide_1.wgsl': wide1,
  'lib/wide_4.wgsl': wide4,
  'lib/weight_bf16.wgsl': weightBf16,
  'lib/weight_f16.wgsl': weightF16,
  'lib/weight_f32.wgsl': weightF32,
  'lib/weight_q4.wgsl': weightQ4,
  'lib/weight_q8.wgsl': weightQ8,
};
