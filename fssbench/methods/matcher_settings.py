"""Matcher's settings, which differ between data sets (aim-uofa/Matcher@d59b6c7, main_oss.py and scripts/)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The options of the release's script main_oss.py, under its names; the defaults are those of scripts/coco.sh.

    Attributes:
        use_dense_mask: Whether a dense grid of points prompts SAM, too.
        points_per_side: Side of that grid.
        dense_multimask_output: With 0 a point of the grid gives one mask, and else the mask of this number among three.
        pred_iou_thresh, stability_score_thresh: Predicted IoU above which masks of the grid are kept, and their least
            stability; 0 keeps all.
        multimask_output: Whether a prompt gives three masks, or one.
        output_layer: Which of three: 3 for all, 4 for all but the first, 0 to 2 for one.
        iou_filter, sel_stability_score_thresh: As `pred_iou_thresh` and `stability_score_thresh`, for prompts.
        box_nms_thresh: The largest IoU of the boxes of two masks that are both kept.
        use_points_or_centers: Whether prompts are drawn from the matched points, or from their k-means centres.
        num_centers: Number of these centres.
        use_box: Whether each prompt has the box around the matched points as well.
        sample_range: Smallest and largest number of points of a prompt.
        max_sample_iterations: Number of prompts of each size.
        alpha, beta, exp: Score of a mask: alpha * emd + beta * purity * coverage ** exp.
        coverage_filter, emd_filter, purity_filter: The least value of a metric, or the best value if that is smaller;
            0 for no filter.
        use_score_filter: Whether masks are merged by their distance 1 - score, below `deep_score_filter` and less than
            `deep_score_norm_filter` above the best; else the best ones, whose score divided by the best is above
            `topk_scores_threshold`.
        num_merging_mask: The largest number of merged masks.
        num_merging_mask_5shot: The same for two shots or more (scripts/coco_5shot.sh), unless only the other is given.
    """

    use_dense_mask: bool = True
    points_per_side: int = 64
    dense_multimask_output: int = 0
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    multimask_output: bool = True
    output_layer: int = 3
    iou_filter: float = 0.85
    sel_stability_score_thresh: float = 0.9
    box_nms_thresh: float = 0.65
    use_points_or_centers: bool = True
    num_centers: int = 8
    use_box: bool = False
    sample_range: tuple[int, int] = (1, 6)
    max_sample_iterations: int = 64
    alpha: float = 1.0
    beta: float = 0.0
    exp: float = 0.0
    coverage_filter: float = 0.0
    emd_filter: float = 0.0
    purity_filter: float = 0.02
    use_score_filter: bool = True
    deep_score_filter: float = 0.33
    deep_score_norm_filter: float = 0.1
    topk_scores_threshold: float = 0.0
    num_merging_mask: int = 9
    num_merging_mask_5shot: int = 5
